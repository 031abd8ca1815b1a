import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { acceptBoth, initializeBody, RawClient, type RawRequest, send } from "../support/raw-client.ts";
import { httpRequest, RawSocket } from "../support/raw-socket.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

const log = new RecordedLog();
let serving: Serving;
let client: RawClient;
/** A session that others' bad input must not disturb. */
let bystander: RawClient;

beforeAll(async () => {
  serving = await serve(new ConductedServer().definition, { log });
  client = await RawClient.begin(serving.url);
  bystander = await RawClient.begin(serving.url);
});

afterAll(async () => {
  await serving.stop();
});

afterEach(async () => {
  expect(await bystander.call("echo", { text: "a" })).toMatchObject({ result: { content: [{ text: "a" }] } });
  expect(log.of("request-failed")).toEqual([]);
  expect(serving.node.sessions()).toHaveLength(2);
});

const post = { accept: acceptBoth, "content-type": "application/json" };
const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
const mebibyte = 1024 * 1024;
const initialize = (params: unknown) => JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
const clientInfo = { name: "x", version: "1" };

interface Case {
  readonly name: string;
  readonly request: Omit<RawRequest, "headers"> & { readonly headers?: Record<string, string | undefined> };
  /** Whether the request names the live session. */
  readonly session?: boolean;
  readonly status: number;
  readonly code: number;
  readonly message: RegExp;
}

/** One POST, right but for what is given. */
function posted(body: string, headers: Record<string, string | undefined> = {}): Case["request"] {
  return { method: "POST", headers: { ...post, ...headers }, body };
}

const cases: readonly Case[] = [
  { name: "no JSON", request: posted("{"), session: true, status: 400, code: -32700, message: /Invalid JSON/ },
  { name: "an empty body", request: posted(""), session: true, status: 400, code: -32700, message: /Invalid JSON/ },
  { name: "no JSON, and no session", request: posted("{"), status: 400, code: -32700, message: /Invalid JSON/ },
  { name: "null", request: posted("null"), session: true, status: 400, code: -32700, message: /JSON-RPC/ },
  { name: "a number", request: posted("5"), session: true, status: 400, code: -32700, message: /JSON-RPC/ },
  {
    name: "another JSON-RPC",
    request: posted('{"jsonrpc":"1.0","id":1,"method":"ping"}'),
    session: true,
    status: 400,
    code: -32700,
    message: /JSON-RPC/,
  },
  {
    name: "an id that is null",
    request: posted('{"jsonrpc":"2.0","id":null,"method":"ping"}'),
    session: true,
    status: 400,
    code: -32700,
    message: /JSON-RPC/,
  },
  {
    name: "a key __proto__ in the message",
    request: posted('{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":{"result":{}}}'),
    session: true,
    status: 400,
    code: -32700,
    message: /JSON-RPC/,
  },
  {
    name: "another content type",
    request: posted(ping, { "content-type": "text/plain" }),
    session: true,
    status: 415,
    code: -32000,
    message: /Content-Type must be application\/json/,
  },
  {
    name: "no content type",
    request: posted(ping, { "content-type": undefined }),
    session: true,
    status: 415,
    code: -32000,
    message: /Content-Type/,
  },
  {
    name: "a POST that takes no events",
    request: posted(ping, { accept: "application/json" }),
    session: true,
    status: 406,
    code: -32000,
    message: /must accept both/,
  },
  {
    name: "a GET that takes no events",
    request: { headers: { accept: "application/json" } },
    session: true,
    status: 406,
    code: -32000,
    message: /text\/event-stream/,
  },
  {
    name: "a body over 4 MiB with Content-Length",
    request: posted(`"${"x".repeat(4 * mebibyte)}"`),
    session: true,
    status: 413,
    code: -32000,
    message: /must not exceed 4194304 bytes/,
  },
  {
    name: "a body over 4 MiB in chunks",
    request: posted(`"${"x".repeat(5 * mebibyte)}"`, { "transfer-encoding": "chunked" }),
    session: true,
    status: 413,
    code: -32000,
    message: /must not exceed 4194304 bytes/,
  },
  {
    name: "a batch, where the revision has none",
    request: posted(`[${ping}]`),
    session: true,
    status: 400,
    code: -32600,
    message: /Batches do not exist/,
  },
  {
    name: "an unknown protocol version",
    request: posted(ping, { "mcp-protocol-version": "1999-01-01" }),
    session: true,
    status: 400,
    code: -32000,
    message: /Unsupported protocol version: 1999-01-01 \(supported versions: .*2025-11-25/,
  },
  {
    name: "an unknown protocol version on a GET",
    request: { headers: { accept: "text/event-stream", "mcp-protocol-version": "__proto__" } },
    session: true,
    status: 400,
    code: -32000,
    message: /Unsupported protocol version/,
  },
  {
    name: "an unknown protocol version on a DELETE",
    request: { method: "DELETE", headers: { "mcp-protocol-version": "2" } },
    session: true,
    status: 400,
    code: -32000,
    message: /Unsupported protocol version/,
  },
  { name: "a POST without a session", request: posted(ping), status: 400, code: -32000, message: /is required/ },
  {
    name: "a POST with an empty session id",
    request: posted(ping, { "mcp-session-id": "" }),
    status: 400,
    code: -32000,
    message: /is required/,
  },
  {
    name: "a GET without a session",
    request: { headers: { accept: "text/event-stream" } },
    status: 400,
    code: -32000,
    message: /is required/,
  },
  { name: "a DELETE without a session", request: { method: "DELETE" }, status: 400, code: -32000, message: /required/ },
  ...["no id", "__proto__", "constructor", "*", "a}b{c", "x".repeat(8_000)].map((id) => ({
    name: `the malformed session id ${id.slice(0, 20)}`,
    request: posted(ping, { "mcp-session-id": id }),
    status: 404,
    code: -32001,
    message: /Session not found/,
  })),
  {
    name: "an initialize that lacks things",
    request: posted(initialize({ protocolVersion: "2025-11-25" })),
    status: 400,
    code: -32600,
    message: /initialize needs protocolVersion, capabilities and clientInfo/,
  },
  {
    name: "an initialize in company",
    request: posted(`[${initialize({ protocolVersion: "2025-03-26", capabilities: {}, clientInfo })},${ping}]`),
    status: 400,
    code: -32600,
    message: /Only one initialization request/,
  },
  {
    name: "a second initialize",
    request: posted(initialize({ protocolVersion: "2025-11-25", capabilities: {}, clientInfo })),
    session: true,
    status: 400,
    code: -32600,
    message: /already initialized/,
  },
  ...["PUT", "PATCH", "TRACE"].map((method) => ({
    name: `the method ${method}`,
    request: { method },
    session: true,
    status: 405,
    code: -32000,
    message: /Method not allowed/,
  })),
];

describe("what a client sends wrongly gets the answer that MCP asks for, and disturbs nobody", () => {
  test.each(cases)("$name", async ({ request, session, status, code, message }) => {
    const headers = { ...(session === true && { "mcp-session-id": client.session }), ...request.headers };
    const answer = await (await send(serving.url, { ...request, headers })).ended();
    expect([answer.status, answer.text]).toEqual([status, expect.anything()]);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.message).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: { code, message: expect.stringMatching(message) },
    });
  });

  test("405 names the methods that are allowed", async () => {
    const answer = await send(serving.url, { method: "PUT" });
    expect(answer.headers.allow).toBe("GET, POST, DELETE");
  });

  test("two session ids are refused, also two that are the same", async () => {
    for (const second of [client.session, bystander.session, "x"]) {
      const headers = { ...post, "mcp-session-id": [client.session, second] };
      const answer = await (await send(serving.url, { method: "POST", headers, body: ping })).ended();
      expect(answer.status).toBe(400);
      expect(answer.message).toMatchObject({
        error: { message: expect.stringContaining("more than one Mcp-Session-Id") },
      });
    }
  });

  test("an unknown method is the server's to refuse: 200 with a JSON-RPC error", async () => {
    const answer = await (await client.post({ jsonrpc: "2.0", id: 5, method: "nope/never" })).ended();
    expect(answer.status).toBe(200);
    expect(answer.message).toMatchObject({ id: 5, error: { code: -32601 } });
  });

  test("an unknown revision in initialize is no fault: the server names one that it speaks", async () => {
    const answer = await (await send(serving.url, posted(JSON.stringify(initializeBody("1999-01-01"))))).ended();
    expect(answer.status).toBe(200);
    expect(answer.message).toMatchObject({ id: 0, result: { protocolVersion: "2025-11-25" } });
    await serving.node.close(answer.headers["mcp-session-id"] as string);
  });
});

describe("what can't be HTTP at all", () => {
  test.each([
    ["headers over 16 KiB", httpRequest("POST", "/mcp", { ...post, "X-Large": "x".repeat(20_000) }, ping), "431"],
    ["TLS on a plain port", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "400"],
    ["a body with two lengths", httpRequest("POST", "/mcp", { ...post, "content-length": ["5", "6"] }, ""), "400"],
    ["no Host", `POST /mcp HTTP/1.1\r\nContent-Length: 0\r\n\r\n`, "400"],
  ])("%s gets an answer, and the connection is closed", async (_name, bytes, status) => {
    const socket = await RawSocket.open(serving.url);
    socket.socket.write(bytes);
    await expect.poll(() => socket.closed, { timeout: 5_000 }).toBe(true);
    expect(socket.text).toContain(`HTTP/1.1 ${status} `);
  });
});
