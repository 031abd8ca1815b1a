// What Node's http can do at best: it reads a body, and answers each request with the same JSON-RPC result. No MCP.
import { createServer } from "node:http";
import { serveForBench } from "./listening.ts";

const result = { text: "the same text in each call" };
const body = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  result: { content: [{ type: "text", text: JSON.stringify(result) }], structuredContent: result },
});
const headers = {
  "Content-Type": "application/json",
  "Content-Length": String(body.length),
  "Mcp-Session-Id": "the-floor-has-no-sessions",
};

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => response.writeHead(200, headers).end(body));
});

await serveForBench(server);
