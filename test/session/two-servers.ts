import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { McpServer } from "@modelcontextprotocol/server";
import { type Dispatcher, Pool } from "undici";
import { z } from "zod";
import { serve } from "../support/serving.ts";
import type { GeneratedRequest } from "./generated-requests.ts";

const echoInput = z.object({ text: z.string() });

/** The server that both transports carry. */
function echoServer(): McpServer {
  const server = new McpServer({ name: "echo", version: "1.0.0" }, { capabilities: { logging: {} } });
  server.registerTool("echo", { description: "Gives its text back", inputSchema: echoInput }, async ({ text }) => ({
    content: [{ type: "text", text }],
  }));
  return server;
}

/** What a client sees of an answer, with what differs by nature (ids of sessions) taken out. */
export interface SeenAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly allow: string | undefined;
  readonly cacheControl: string | undefined;
  readonly givesSessionId: boolean;
  /** The JSON body, the messages of an event stream, "open" for a stream that stays open, or text. */
  readonly body: unknown;
}

/** One server that can be sent generated requests, within a live session of its own. */
export class Side {
  readonly #pool: Pool;
  readonly #close: () => Promise<void>;
  #session = "";

  constructor(url: string, close: () => Promise<void>) {
    this.#pool = new Pool(url, { connections: 8 });
    this.#close = close;
  }

  /** Begins a new live session. */
  async begin(protocolVersion: string): Promise<void> {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 0,
      method: "initialize",
      params: { protocolVersion, capabilities: {}, clientInfo: { name: "differential", version: "1" } },
    });
    const answer = await this.#pool.request({ method: "POST", path: "/mcp", headers, body });
    await answer.body.text();
    this.#session = String(answer.headers["mcp-session-id"]);
  }

  async send(generated: GeneratedRequest): Promise<SeenAnswer> {
    const answer = await this.#pool.request({
      method: generated.method as Dispatcher.HttpMethod,
      path: "/mcp",
      headers: this.#headers(generated),
      body: generated.body ?? null,
      headersTimeout: 5_000,
      bodyTimeout: 5_000,
    });
    const { headers } = answer;
    const contentType = headers["content-type"] as string | undefined;
    return {
      status: answer.statusCode,
      contentType,
      allow: headers.allow as string | undefined,
      cacheControl: headers["cache-control"] as string | undefined,
      givesSessionId: headers["mcp-session-id"] !== undefined,
      body: await readBody(answer, generated.method === "GET"),
    };
  }

  async stop(): Promise<void> {
    await this.#pool.destroy();
    await this.#close();
  }

  #headers(generated: GeneratedRequest): string[] {
    const names = {
      live: [this.#session],
      none: [],
      unknown: ["7bbrc7.AAAAAAAAAAAAAAAAAAAAAAAA"],
      malformed: ["no id"],
      twice: [this.#session, this.#session],
    };
    const headers = names[generated.session].flatMap((id) => ["mcp-session-id", id]);
    if (generated.accept !== undefined) headers.push("accept", generated.accept);
    if (generated.contentType !== undefined) headers.push("content-type", generated.contentType);
    if (generated.version !== undefined) headers.push("mcp-protocol-version", generated.version);
    if (generated.lastEventId !== undefined) headers.push("last-event-id", generated.lastEventId);
    return headers;
  }
}

async function readBody(answer: Dispatcher.ResponseData, isGet: boolean): Promise<unknown> {
  const type = answer.headers["content-type"];
  const isStream = type === "text/event-stream";
  if (isGet && isStream && answer.statusCode === 200) {
    // It stays open, as it should: whoever asked hangs up.
    answer.body.on("error", () => {});
    answer.body.destroy();
    return "open";
  }
  const text = await answer.body.text();
  if (isStream) {
    return text
      .split("\n\n")
      .filter((event) => event !== "")
      .map((event) => JSON.parse(event.slice(event.indexOf("data: ") + 6)));
  }
  return String(type).startsWith("application/json") ? JSON.parse(text) : text;
}

/** Mooring's transport, in a node of its own. */
export async function mooringSide(): Promise<Side> {
  const { url, stop } = await serve({ create: echoServer });
  return new Side(url, stop);
}

/**
 * The SDK's transport, one for each session, chosen by the session id as the SDK's own examples do it. A request that
 * names no live session goes to one that is initialized, so that the SDK itself says what is wrong.
 */
export async function sdkSide(): Promise<Side> {
  const transports = new Map<string, NodeStreamableHTTPServerTransport>();
  const http = createServer((request, response) => void handle(request, response));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  let newest: NodeStreamableHTTPServerTransport | undefined;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const named = transports.get(String(request.headers["mcp-session-id"]));
    const isNew = request.method === "POST" && request.headers["mcp-session-id"] === undefined && beginsSession(text);
    const transport = isNew ? await fresh() : (named ?? newest ?? (await fresh()));
    replayBody(request, text);
    await transport.handleRequest(request, response);
  }

  async function fresh(): Promise<NodeStreamableHTTPServerTransport> {
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        transports.set(id, transport);
        newest = transport;
      },
    });
    await echoServer().connect(transport);
    return transport;
  }

  return new Side(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, async () => {
    http.closeAllConnections();
    http.close();
    await Promise.all([...transports.values()].map((transport) => transport.close()));
  });
}

function beginsSession(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return [value].flat().some((item) => (item as { method?: unknown } | null)?.method === "initialize");
  } catch {
    return false;
  }
}

/** Puts a body that was read back before the SDK's adapter reads it. */
function replayBody(request: IncomingMessage, text: string): void {
  Object.defineProperty(request, "rawBody", { value: Buffer.from(text) });
}
