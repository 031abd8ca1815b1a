// The rival: SDK v2 with sessions, on its own Node adapter. One transport a session, kept in a map, as its guide to
// sessions shows. It has no event store, which would slow it down, so unlike Mooring it can't resume a stream.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
} from "@modelcontextprotocol/node";
import { McpServer } from "@modelcontextprotocol/server";
import { tools } from "../../examples/yardstick/schemas.ts";
import { serveForBench } from "./listening.ts";

const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
const hostAllowed = localhostHostValidation();
const originAllowed = localhostOriginValidation();

async function openSession(): Promise<NodeStreamableHTTPServerTransport> {
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => void sessions.set(id, transport),
  });
  transport.onclose = () => void sessions.delete(transport.sessionId ?? "");
  const server = new McpServer({ name: "yardstick", version: "1.0.0" });
  server.registerTool("echo", tools.echo, async ({ text }) => ({
    content: [{ type: "text", text: JSON.stringify({ text }) }],
    structuredContent: { text },
  }));
  await server.connect(transport);
  return transport;
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!hostAllowed(request, response) || !originAllowed(request, response)) return;
  const id = request.headers["mcp-session-id"];
  if (id === undefined) {
    // The transport itself refuses what isn't an initialize.
    await (await openSession()).handleRequest(request, response);
    return;
  }
  const transport = sessions.get(String(id));
  if (transport !== undefined) {
    await transport.handleRequest(request, response);
    return;
  }
  response.writeHead(404, { "Content-Type": "application/json" });
  response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
}

const server = createServer((request, response) => {
  if (request.url === "/livez") {
    response.end("ok");
    return;
  }
  serve(request, response).catch((error: Error) => {
    console.error(error);
    response.destroy();
  });
});

await serveForBench(server);
