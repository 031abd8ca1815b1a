import { McpServer } from "@modelcontextprotocol/server";
import { defineServer, type SessionContext } from "mooring";
import { afterEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { RawClient } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

let serving: Serving;

afterEach(async () => {
  await serving.stop();
});

describe("two sessions on one node", () => {
  test("never see each other's messages, although they use the same ids", async () => {
    const conducted = new ConductedServer();
    serving = await serve(conducted.definition);
    const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.begin(serving.url)));
    const streams = await Promise.all(clients.map((client) => client.listen()));
    const calls = await Promise.all(clients.map((client, index) => client.startCall("wait", { name: `${index}` }, 1)));
    for (let n = 1; n <= 20; n += 1) {
      for (const [index, client] of clients.entries()) {
        await conducted.session(client.session).announce(n * 10 + index);
        await (await conducted.call(`${index}`)).progress(n * 10 + index);
      }
    }
    for (const index of clients.keys()) (await conducted.call(`${index}`)).answer(`result ${index}`);
    const expected = (index: number) => Array.from({ length: 20 }, (_, position) => (position + 1) * 10 + index);
    for (const [index, stream] of streams.entries()) {
      await stream.received(20);
      expect(stream.messages.map(({ params }) => params?.data)).toEqual(expected(index).map((n) => ({ n })));
    }
    for (const [index, call] of calls.entries()) {
      await call.ended();
      expect(call.messages.slice(0, -1).map(({ params }) => params?.progress)).toEqual(expected(index));
      expect(call.messages.at(-1)).toMatchObject({ id: 1, result: { content: [{ text: `result ${index}` }] } });
    }
  });

  test("have ids that nobody can guess from another's", async () => {
    serving = await serve(new ConductedServer().definition);
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.begin(serving.url)));
    expect(new Set(clients.map(({ session }) => session)).size).toBe(50);
    expect(new Set(clients.map(({ session }) => session.split(".")[1]?.slice(0, 8))).size).toBe(50);
    expect(new Set(clients.map(({ session }) => session.split(".")[0]))).toEqual(new Set([serving.node.tag]));
  });
});

describe("session.state", () => {
  /** A default that is made once per process, as module-level defaults are. */
  const shared = { lines: [] as string[] };

  const contexts: SessionContext[] = [];
  const definition = defineServer(({ session }) => {
    contexts.push(session);
    session.state("log", shared).value.lines.push(session.id);
    return new McpServer({ name: "state", version: "1" });
  });

  test("is each session's own, also where the default is one object for all", async () => {
    serving = await serve(definition);
    contexts.length = 0;
    const clients = [await RawClient.begin(serving.url), await RawClient.begin(serving.url)];
    for (const [index, context] of contexts.entries()) {
      expect(context.state("log", shared).value.lines).toEqual([clients[index]?.session]);
    }
    expect(shared.lines).toEqual([]);
  });

  test("gives the same cell for the same key, for any key", async () => {
    serving = await serve(definition);
    contexts.length = 0;
    await RawClient.begin(serving.url);
    const [context] = contexts as [SessionContext];
    for (const key of ["a", "constructor", "hasOwnProperty", " "]) {
      const cell = context.state<number>(key, 1);
      cell.value += 1;
      expect(context.state(key, 99)).toBe(cell);
      expect(context.state(key, 99).value).toBe(2);
    }
    expect(({} as Record<string, unknown>).value).toBeUndefined();
  });

  test("is told which session, node and epoch it is for", async () => {
    serving = await serve(definition);
    contexts.length = 0;
    const client = await RawClient.begin(serving.url);
    expect(contexts[0]).toMatchObject({
      id: client.session,
      epoch: 1,
      node: { name: serving.node.name, tag: serving.node.tag },
    });
  });
});

describe("an id that is in flight", () => {
  test("can't begin a second call: 400, and the first goes on", async () => {
    const conducted = new ConductedServer();
    serving = await serve(conducted.definition);
    const client = await RawClient.begin(serving.url);
    const first = await client.startCall("wait", { name: "first" }, "same");
    await conducted.call("first");
    const second = await (await client.startCall("wait", { name: "second" }, "same")).ended();
    expect(second.status).toBe(400);
    expect(second.message).toMatchObject({
      id: "same",
      error: { code: -32600, message: expect.stringContaining('"same" belongs to a request that is still running') },
    });
    expect(conducted.hasCall("second")).toBe(false);
    (await conducted.call("first")).answer("done");
    await first.ended();
    expect(first.messages).toMatchObject([{ id: "same", result: { content: [{ text: "done" }] } }]);
    expect(await client.call("echo", { text: "again" }, "same")).toMatchObject({ id: "same", result: {} });
  });

  test("as a number is another than as a text", async () => {
    const conducted = new ConductedServer();
    serving = await serve(conducted.definition);
    const client = await RawClient.begin(serving.url);
    const number = await client.startCall("wait", { name: "number" }, 1);
    const text = await client.startCall("wait", { name: "text" }, "1");
    (await conducted.call("text")).answer("text");
    (await conducted.call("number")).answer("number");
    await Promise.all([number.ended(), text.ended()]);
    expect([number.messages, text.messages]).toMatchObject([
      [{ id: 1, result: { content: [{ text: "number" }] } }],
      [{ id: "1", result: { content: [{ text: "text" }] } }],
    ]);
  });
});
