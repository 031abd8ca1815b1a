// A person's own app with a node in it, as installed.mjs runs it beside the library example: initializes a session,
// counts twice, and has to end by itself, because a stopped node leaves no timer and no socket.
import { createServer } from "node:http";
import { createNode } from "mooring";
import server from "./server.js";

const http = createServer((request, response) => node.handle(request, response));
await new Promise((resolve) => http.listen(0, "127.0.0.1", () => resolve(undefined)));
const address = http.address();
if (address === null || typeof address === "string") throw new Error("the app has no port");
const url = `http://127.0.0.1:${address.port}`;
const node = await createNode({ server, name: "embedded", url, admin: "off" });

/**
 * @param {{ id?: number, method: string, params?: unknown }} message
 * @param {Record<string, string>} headers
 */
async function post(message, headers = {}) {
  const answer = await fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2025-11-25",
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${message.method} was answered with ${answer.status}: ${text}`);
  const data = /^data: (.+)$/m.exec(text)?.[1] ?? text;
  return { id: answer.headers.get("mcp-session-id"), result: data === "" ? undefined : JSON.parse(data).result };
}

const clientInfo = { name: "embedding-app", version: "1.0.0" };
const { id } = await post({
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo },
});
if (id === null) throw new Error("initialize gave no session id");
const session = { "mcp-session-id": id };
await post({ method: "notifications/initialized" }, session);
await post({ id: 2, method: "tools/call", params: { name: "count", arguments: {} } }, session);
const { result } = await post({ id: 3, method: "tools/call", params: { name: "count", arguments: {} } }, session);
const counted = result?.content?.[0]?.text;
if (counted !== "2") throw new Error(`the second count gave ${JSON.stringify(result)} in place of 2`);
if (!(await node.hasSession(id))) throw new Error("the node does not know its own session");
await node.stop();
await new Promise((resolve) => http.close(resolve));
console.log(`A node in an app served session ${id.split(".")[0]}.…, counted to ${counted}, and stopped.`);
