import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, type RawAnswer, RawClient, send } from "../support/raw-client.ts";
import { httpRequest, RawSocket } from "../support/raw-socket.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let log: RecordedLog;
/** A session that nobody's hostility may disturb. */
let bystander: RawClient;

beforeEach(async () => {
  conducted = new ConductedServer();
  log = new RecordedLog();
  serving = await serve(conducted.definition, { log });
  bystander = await RawClient.begin(serving.url);
});

afterEach(async () => {
  await expectServed();
  expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  await serving.stop();
});

/** The bystander's calls are answered, and without much delay. */
async function expectServed(): Promise<void> {
  const began = performance.now();
  expect(await bystander.call("echo", { text: "a" })).toMatchObject({ result: { content: [{ text: "a" }] } });
  expect(performance.now() - began).toBeLessThan(2_000);
}

const json = { accept: acceptBoth, "content-type": "application/json" };

async function post(client: RawClient, body: string): Promise<RawAnswer> {
  const headers = { ...json, "mcp-session-id": client.session };
  return await (await send(serving.url, { method: "POST", headers, body })).ended();
}

describe("clients that send slowly or not at all", () => {
  test("two hundred bodies that never end disturb nobody, and leave nothing when they hang up", async () => {
    const headers = { ...json, "Mcp-Session-Id": bystander.session, "Content-Length": "1000000" };
    const sockets = await Promise.all(Array.from({ length: 200 }, () => RawSocket.open(serving.url)));
    for (const { socket } of sockets) socket.write(`${httpRequest("POST", "/mcp", headers)}{"jsonrpc":`);
    await expectServed();
    for (const { socket } of sockets) socket.destroy();
    await expectServed();
    expect(serving.node.sessions()[0]?.inFlight).toBe(0);
  });

  test("a body that breaks off runs nothing", async () => {
    const call = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "wait", arguments: { name: "broken" } },
    };
    const whole = httpRequest("POST", "/mcp", { ...json, "Mcp-Session-Id": bystander.session }, JSON.stringify(call));
    for (const end of [whole.length - 1, whole.length - 20]) {
      const socket = await RawSocket.open(serving.url);
      socket.socket.end(whole.slice(0, end));
      await eventually(() => expect(socket.closed).toBe(true));
    }
    expect(conducted.hasCall("broken")).toBe(false);
  });

  test("one that hangs up before the answer harms only itself", async () => {
    const client = await RawClient.begin(serving.url);
    const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "wait", arguments: { name: "gone" } } };
    const socket = await RawSocket.open(serving.url);
    socket.socket.write(
      httpRequest("POST", "/mcp", { ...json, "Mcp-Session-Id": client.session }, JSON.stringify(call)),
    );
    const began = await conducted.call("gone");
    socket.socket.resetAndDestroy();
    await expectServed();
    for (let n = 1; n <= 100; n += 1) await began.progress(n);
    began.answer("to nobody");
    await eventually(() => expect(serving.node.sessions().every(({ inFlight }) => inFlight === 0)).toBe(true));
  });
});

describe("clients that ask for much", () => {
  test("five hundred sessions with a stream each: all open, and all gone when they are cut", async () => {
    const clients = await Promise.all(Array.from({ length: 500 }, () => RawClient.begin(serving.url)));
    const streams = await Promise.all(clients.map((client) => client.listen()));
    expect(streams.every(({ status }) => status === 200)).toBe(true);
    await expectServed();
    for (const client of clients) await conducted.session(client.session).announce(1);
    await Promise.all(streams.map((stream) => stream.received(1)));
    for (const stream of streams) stream.cut();
    await eventually(() => expect(serving.node.sessions().every((session) => session.streams === 0)).toBe(true));
  });

  test("five hundred calls in flight in one session end with it", async () => {
    const client = await RawClient.begin(serving.url);
    const calls = await Promise.all(
      Array.from({ length: 500 }, (_, index) => client.startCall("wait", { name: `${index}` })),
    );
    await expectServed();
    await client.delete();
    for (const call of calls) expect((await call.ended()).end).toBe("whole");
    expect(serving.node.sessions()).toHaveLength(1);
  });

  test("requests one after another without waiting for answers (pipelining) are answered in order", async () => {
    const client = await RawClient.begin(serving.url);
    const headers = { ...json, "Mcp-Session-Id": client.session };
    const ping = (id: number) =>
      httpRequest("POST", "/mcp", headers, JSON.stringify({ jsonrpc: "2.0", id, method: "ping" }));
    const socket = await RawSocket.open(serving.url);
    socket.socket.write(Array.from({ length: 50 }, (_, index) => ping(index + 1)).join(""));
    await eventually(() => expect(socket.text.match(/"id":\d+/g)).toHaveLength(50));
    expect(socket.text.match(/"id":\d+/g)).toEqual(Array.from({ length: 50 }, (_, index) => `"id":${index + 1}`));
    socket.socket.destroy();
  });
});

describe("bodies that are made to hurt", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  const odd = '{"toString":1,"valueOf":1}';

  test.each([
    ["params", '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{"polluted":1}}}'],
    [
      "_meta",
      '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}}',
    ],
    [
      "arguments",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a","__proto__":{"polluted":1}}}}',
    ],
    ["the tool's name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"__proto__","arguments":{}}}'],
    ["the method", '{"jsonrpc":"2.0","id":1,"method":"__proto__"}'],
    ["the id", '{"jsonrpc":"2.0","id":"__proto__","method":"ping"}'],
    ["a progress token", '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":"__proto__"}}}'],
    ["a response's id", '{"jsonrpc":"2.0","id":"__proto__","result":{"__proto__":{"polluted":1}}}'],
    [
      "a cancelled request's id",
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"__proto__"}}',
    ],
  ])("__proto__ as %s pollutes nothing, and is answered", async (_name, body) => {
    const client = await RawClient.begin(serving.url);
    const answer = await post(client, body);
    expect([200, 202]).toContain(answer.status);
    expect(await client.call("echo", { text: "still here" }, 99)).toMatchObject({ result: {} });
  });

  test.each([
    ["as the body", (deep: string) => deep, 400],
    ["in params", (deep: string) => `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"deep":${deep}}}`, 200],
    [
      "in arguments",
      (deep: string) =>
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":${deep}}}}`,
      200,
    ],
  ])("a hundred thousand arrays in each other, %s, are answered", async (_name, wrap, status) => {
    const client = await RawClient.begin(serving.url);
    const answer = await post(client, wrap(deep));
    expect(answer.status).toBe(status);
    expect(answer.messages).toHaveLength(1);
    expect(serving.node.sessions().every(({ inFlight }) => inFlight === 0)).toBe(true);
  });

  test.each([
    ["a slow call's arguments", "tools/call", `{"name":"wait","arguments":{"name":"slow","deep":${deep}}}`],
    ["a tool's name", "tools/call", `{"name":${odd}}`],
    ["a uri", "resources/subscribe", `{"uri":${deep}}`],
    ["a uri", "resources/unsubscribe", `{"uri":${odd}}`],
    ["a level", "logging/setLevel", `{"level":"info","deep":${deep}}`],
    ["what nobody asked for", "ping", `{"uri":${odd},"level":${odd},"name":${odd}}`],
  ])(
    "what can't be written again, as %s of %s, is answered where sessions outlive the node",
    async (_name, ...call) => {
      const [method, params] = call;
      const keeping = await serve(conducted.definition, {
        log,
        registry: new MemoryRegistry({ store: new MemoryStore() }),
      });
      const client = await RawClient.begin(keeping.url);
      const headers = { ...json, "mcp-session-id": client.session };
      const body = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`;
      const answer = await send(keeping.url, { method: "POST", headers, body });
      if (params.includes("slow")) {
        const call = await conducted.call("slow");
        // Its head comes first.
        await new Promise((resolve) => setTimeout(resolve, 50));
        call.answer("slow");
      }
      expect((await answer.ended()).status).toBe(200);
      expect(answer.message?.id).toBe(1);
      await eventually(() => expect(keeping.node.sessions()[0]?.inFlight).toBe(0));
      await keeping.stop();
    },
  );

  test.each([
    ["capabilities", `{"experimental":{"deep":${deep}}}`, '{"name":"raw","version":"1"}'],
    ["clientInfo", "{}", `{"name":"raw","version":"1","deep":${deep}}`],
  ])(
    "an initialize whose %s can't be written again is refused, and begins nothing",
    async (_name, capabilities, info) => {
      const body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":${capabilities},"clientInfo":${info}}}`;
      const answer = await send(serving.url, { method: "POST", headers: json, body });
      expect(answer.status).toBe(400);
      expect((await answer.ended()).message?.error?.message).toMatch(/too deep/);
      expect(serving.node.sessions()).toHaveLength(1);
    },
  );

  test("an id of a megabyte comes back as it is", async () => {
    const client = await RawClient.begin(serving.url);
    const id = "i".repeat(1024 * 1024);
    const answer = await post(client, JSON.stringify({ jsonrpc: "2.0", id, method: "ping" }));
    expect(answer.message?.id).toBe(id);
  });

  test("bytes that are no UTF-8 are no reason to fall", async () => {
    const client = await RawClient.begin(serving.url);
    const headers = { ...json, "mcp-session-id": client.session };
    const body = Buffer.from([0x22, 0xff, 0xfe, 0x80, 0x22]);
    const answer = await send(serving.url, { method: "POST", headers, body });
    expect(answer.status).toBe(400);
  });
});

describe("headers that are made to hurt", () => {
  test("a Host that is no host, where any is accepted", async () => {
    const open = await serve(conducted.definition, { url: "http://mcp.example:3000" });
    const client = await RawClient.begin(open.url);
    for (const host of ["[", "a b", "x:y:z", "%", "mcp.example:99999"]) {
      const answer = await client.at(open.url).post({ jsonrpc: "2.0", id: 1, method: "ping" }, { host });
      expect(answer.status).toBe(200);
      expect((await answer.ended()).message).toMatchObject({ id: 1, result: {} });
    }
    await open.stop();
  });

  test("long ids of sessions are not kept, nor logged at length", async () => {
    for (let count = 0; count < 20; count += 1) {
      const headers = { accept: "text/event-stream", "mcp-session-id": `${count}${"x".repeat(10_000)}` };
      expect((await send(serving.url, { headers })).status).toBe(404);
    }
    expect(Math.max(...log.lines.map((line) => JSON.stringify(line).length))).toBeLessThan(500);
  });
});
