import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { RawClient } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let client: RawClient;

beforeAll(async () => {
  conducted = new ConductedServer();
  serving = await serve(conducted.definition);
  client = await RawClient.begin(serving.url, { version: "2025-03-26" });
});

afterAll(async () => {
  await serving.stop();
});

const call = (id: number | string, tool: string, args: object) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name: tool, arguments: args },
});
const echo = (id: number | string, text: string) => call(id, "echo", { text });
const notification = { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: 1, progress: 1 } };

describe("a batch, in 2025-03-26", () => {
  test("gets one answer with the response to each of its requests, as one write", async () => {
    const answer = await (await client.post([echo(1, "a"), notification, echo(2, "b"), echo("three", "c")])).ended();
    expect(answer.headers["content-length"]).toBe(String(Buffer.byteLength(answer.text)));
    expect(answer.messages).toHaveLength(3);
    for (const [id, text] of [
      [1, "a"],
      [2, "b"],
      ["three", "c"],
    ]) {
      expect(answer.messages.find((message) => message.id === id)).toMatchObject({ result: { content: [{ text }] } });
    }
  });

  test("with a slow request gives the quick ones' responses without waiting for it", async () => {
    const answer = await client.post([call(1, "wait", { name: "slow" }), echo(2, "quick")]);
    expect(await answer.received(1)).toMatchObject([{ id: 2 }]);
    (await conducted.call("slow")).answer("at last");
    await answer.ended();
    expect(answer.messages).toMatchObject([{ id: 2 }, { id: 1, result: { content: [{ text: "at last" }] } }]);
  });

  test("with a cancelled request ends when the others have their responses", async () => {
    const answer = await client.post([call(1, "wait", { name: "given up" }), call(2, "wait", { name: "kept" })]);
    await conducted.call("given up");
    await client.post({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } });
    (await conducted.call("kept")).answer("done");
    await answer.ended();
    expect(answer.messages).toMatchObject([{ id: 2, result: { content: [{ text: "done" }] } }]);
  });

  test("of notifications and responses alone gets 202", async () => {
    const answer = await client.post([notification, { jsonrpc: "2.0", id: 99, result: {} }]);
    expect([answer.status, answer.headers["content-length"]]).toEqual([202, "0"]);
  });

  test.each([
    ["no message", [], -32600],
    ["more than 100 messages", Array(101).fill(notification), -32600],
    ["one id twice", [echo(1, "a"), echo(1, "b")], -32600],
    ["something that is no message", [echo(1, "a"), 5], -32700],
    ["a batch in the batch", [[echo(1, "a")]], -32700],
    [
      "a second initialize",
      [
        {
          jsonrpc: "2.0",
          id: 1,
          method: "initialize",
          params: { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: { name: "x", version: "1" } },
        },
      ],
      -32600,
    ],
  ])("with %s gets 400, and none of it runs", async (_name, batch, code) => {
    const answer = await (await client.post(batch)).ended();
    expect(answer.status).toBe(400);
    expect(answer.message).toMatchObject({ jsonrpc: "2.0", error: { code } });
    expect(serving.node.sessions()[0]?.inFlight).toBe(0);
  });

  test("of a hundred messages is the largest", async () => {
    const answer = await (await client.post(Array.from({ length: 100 }, (_, id) => echo(id, "x")))).ended();
    expect(answer.messages).toHaveLength(100);
  });
});

describe.each(["2025-06-18", "2025-11-25"])("a batch, in %s, which has none", (version) => {
  test("gets 400 with the reason", async () => {
    const newer = await RawClient.begin(serving.url, { version });
    const answer = await (await newer.post([echo(1, "a")])).ended();
    expect(answer.status).toBe(400);
    expect(answer.message).toMatchObject({
      error: { code: -32600, message: expect.stringContaining(`Batches do not exist in protocol version ${version}`) },
    });
  });
});

test("with answers as JSON, a batch is still answered as events", async () => {
  const json = await serve(conducted.definition, { answers: "json" });
  const its = await RawClient.begin(json.url, { version: "2025-03-26" });
  const answer = await (await its.post([echo(1, "a"), echo(2, "b")])).ended();
  expect(answer.headers["content-type"]).toBe("text/event-stream");
  expect(answer.messages).toHaveLength(2);
  await json.stop();
});
