import { afterEach, beforeEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, initializeBody, type RawMessage } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let log: RecordedLog;
let session: string;

const url = "http://localhost/mcp";
const json = { accept: acceptBoth, "content-type": "application/json" };

function post(message: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { ...json, ...(session !== "" && { "mcp-session-id": session }), ...(init.headers as object) };
  return serving.node.fetch(new Request(url, { method: "POST", body: JSON.stringify(message), ...init, headers }));
}

const call = (name: string, args: object, init?: RequestInit) =>
  post({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } }, init);

function listen(headers: object = {}, signal?: AbortSignal): Promise<Response> {
  const all = { accept: "text/event-stream", "mcp-session-id": session, ...headers };
  return serving.node.fetch(new Request(url, { headers: all, ...(signal && { signal }) }));
}

function messagesOf(text: string): RawMessage[] {
  return [...text.matchAll(/^data: (.+)$/gm)].map((match) => JSON.parse(match[1] as string) as RawMessage);
}

/** Reads a stream until a text has come. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, wanted: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes(wanted)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The stream ended after: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

const readerOf = (response: Response) => (response.body as ReadableStream<Uint8Array>).getReader();

beforeEach(async () => {
  conducted = new ConductedServer();
  log = new RecordedLog();
  serving = await serve(conducted.definition, { log });
  session = "";
  const answer = await post(initializeBody());
  expect(answer.status).toBe(200);
  session = answer.headers.get("mcp-session-id") as string;
  expect(messagesOf(await answer.text())).toMatchObject([{ id: 0, result: { protocolVersion: "2025-11-25" } }]);
  expect((await post({ jsonrpc: "2.0", method: "notifications/initialized" })).status).toBe(202);
});

afterEach(async () => {
  await serving.stop();
  expect(log.of("request-failed")).toEqual([]);
});

describe("node.fetch serves a session as node.handle does", () => {
  test("quick calls", async () => {
    const answer = await call("echo", { text: "語" });
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const text = await answer.text();
    expect(answer.headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
    expect(messagesOf(text)).toMatchObject([{ id: 1, result: { content: [{ text: "語" }] } }]);
  });

  test("calls that take longer, with their progress as it comes", async () => {
    const answer = await call("wait", { name: "a" });
    const reader = readerOf(answer);
    expect(await readUntil(reader, "\n\n")).toMatch(/^id: c\w+-0\nretry: 1000\ndata: \n\n$/);
    const conductedCall = await conducted.call("a");
    await conductedCall.progress(1);
    await readUntil(reader, '"progress":1');
    conductedCall.answer("done");
    await readUntil(reader, '"done"');
    expect(await reader.read()).toMatchObject({ done: true });
  });

  test("the standalone stream, resumed after an abort", async () => {
    const abort = new AbortController();
    const reader = readerOf(await listen({}, abort.signal));
    await conducted.session(session).announce(1);
    await readUntil(reader, '"n":1');
    abort.abort();
    await eventually(() => expect(serving.node.sessions()[0]?.streams).toBe(0));
    await conducted.session(session).announce(2);
    const again = readerOf(await listen({ "last-event-id": "s-1" }));
    expect(await readUntil(again, '"n":2')).not.toContain('"n":1');
    expect((await listen()).status).toBe(409);
    await again.cancel();
    await eventually(() => expect(serving.node.sessions()[0]?.streams).toBe(0));
  });

  test("a call whose caller aborts: it goes on, and can be resumed", async () => {
    const abort = new AbortController();
    const reader = readerOf(await call("wait", { name: "a" }, { signal: abort.signal }));
    await readUntil(reader, "id: ");
    abort.abort();
    await eventually(() => expect(serving.node.sessions()[0]?.streams).toBe(0));
    const conductedCall = await conducted.call("a");
    expect(conductedCall.aborted).toBe(false);
    conductedCall.answer("done");
    const rest = await listen({ "last-event-id": "c2-0" });
    expect(messagesOf(await rest.text())).toMatchObject([{ id: 1, result: { content: [{ text: "done" }] } }]);
    expect((await listen({ "last-event-id": "c2-1" })).status).toBe(204);
  });

  test("a caller that is gone before its answer has a head is not kept waiting", async () => {
    const abort = new AbortController();
    const answer = call("wait", { name: "a" }, { signal: abort.signal });
    abort.abort();
    await expect(answer).rejects.toThrow(/abort/i);
  });

  test("a caller that is gone before its request was whole leaves nothing behind", async () => {
    const abort = new AbortController();
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"jsonrpc":'));
      },
    });
    const init = { method: "POST", headers: { ...json, "mcp-session-id": session }, body, duplex: "half" };
    const answer = serving.node.fetch(new Request(url, { ...(init as RequestInit), signal: abort.signal }));
    abort.abort();
    await expect(answer).rejects.toThrow(/abort/i);
  });

  test("a stream that nobody reads costs a bounded amount of memory", async () => {
    const response = await listen();
    for (let n = 1; n <= 100; n += 1) await conducted.session(session).announce(n, "x".repeat(64 * 1024));
    expect(log.of("stream-overflowed")).toEqual([{ session, stream: "s" }]);
    const text = await response.text();
    expect(text.length).toBeGreaterThan(1024 * 1024);
    expect(text.length).toBeLessThan(1.3 * 1024 * 1024);
  });

  test("an answer that its caller has not read, or never reads, is one that its client may not have", async () => {
    const registry = new MemoryRegistry({ store: new MemoryStore() });
    const keeping = await serve(yardstick, { registry });
    const to = (message: unknown, id?: string) => {
      const headers = { ...json, ...(id !== undefined && { "mcp-session-id": id }) };
      return keeping.node.fetch(new Request(url, { method: "POST", headers, body: JSON.stringify(message) }));
    };
    const begun = await to(initializeBody());
    const id = begun.headers.get("mcp-session-id") as string;
    await begun.text();
    const count = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "count", arguments: {} } };
    const unread = await to(count, id);
    expect(await (await to(count, id)).text()).toContain("may or may not have run");
    await unread.body?.cancel();
    const again = await to(count, id);
    await again.body?.cancel();
    expect(await (await to(count, id)).text()).toContain("may or may not have run");
    expect(await (await to(count, id)).text()).toContain('"value":3');
    await keeping.stop();
  });

  test("DELETE, refusals, faults and Origin checks", async () => {
    const headers = { "mcp-session-id": session };
    expect((await serving.node.fetch(new Request(url, { method: "DELETE", headers }))).status).toBe(200);
    const refused = await call("echo", { text: "a" });
    expect([refused.status, await refused.json()]).toMatchObject([404, { error: { data: { reason: "closed" } } }]);
    const large = await post("x".repeat(5 * 1024 * 1024));
    expect(large.status).toBe(413);
    const foreign = await call("echo", { text: "a" }, { headers: { origin: "https://evil.example" } });
    expect(foreign.status).toBe(403);
    expect((await serving.node.fetch(new Request("http://evil.example/mcp"))).status).toBe(403);
  });

  test("two session ids are refused here, too", async () => {
    const headers = new Headers({ ...json, "mcp-session-id": session });
    headers.append("mcp-session-id", session);
    const request = new Request(url, { method: "POST", headers, body: "{}" });
    expect((await serving.node.fetch(request)).status).toBe(400);
  });

  test("/mcp only: other paths are the framework's own", async () => {
    expect((await serving.node.fetch(new Request("http://localhost/graphql"))).status).toBe(404);
    expect(await (await serving.node.fetch(new Request("http://localhost/livez"))).text()).toBe("ok\n");
  });
});
