import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let client: RawClient;

beforeEach(async () => {
  conducted = new ConductedServer();
  serving = await serve(conducted.definition);
  client = await RawClient.begin(serving.url);
});

afterEach(async () => {
  await serving.stop();
});

describe("a session that is closed", () => {
  test("answers its calls in flight with an error, not with silence", async () => {
    const calls = await Promise.all(["a", "b"].map((name) => client.startCall("wait", { name })));
    await conducted.call("a");
    await conducted.call("b");
    expect((await client.delete()).status).toBe(200);
    for (const [index, call] of calls.entries()) {
      await call.ended();
      expect(call.end).toBe("whole");
      expect(call.messages).toMatchObject([
        { id: index + 1, error: { code: -32001, message: expect.stringContaining("session ended") } },
      ]);
    }
  });

  test("answers each request of a batch", async () => {
    const older = await RawClient.begin(serving.url, { version: "2025-03-26" });
    const call = (id: number, name: string) => ({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name: "wait", arguments: { name } },
    });
    const answer = await older.post([call(1, "one"), call(2, "two")]);
    (await conducted.call("one")).answer("done");
    await answer.received(1);
    await older.delete();
    await answer.ended();
    expect(answer.messages).toMatchObject([
      { id: 1, result: {} },
      { id: 2, error: { code: -32001 } },
    ]);
  });

  test("ends its standalone stream gracefully", async () => {
    const stream = await client.listen();
    await client.delete();
    expect((await stream.ended()).end).toBe("whole");
  });

  test("aborts its signal and its calls' signals, and closes its server", async () => {
    const { context, server } = conducted.session(client.session);
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    expect(context.signal.aborted).toBe(false);
    await client.delete();
    await answer.ended();
    expect(context.signal.aborted).toBe(true);
    expect(call.aborted).toBe(true);
    expect(server.isConnected()).toBe(false);
  });

  test("by the node itself ends in the same way", async () => {
    const stream = await client.listen();
    const answer = await client.startCall("wait", { name: "a" });
    await conducted.call("a");
    expect(await serving.node.close(client.session)).toBe(true);
    expect(await serving.node.close(client.session)).toBe(false);
    expect((await stream.ended()).end).toBe("whole");
    expect((await answer.ended()).message).toMatchObject({ id: 1, error: { code: -32001 } });
  });

  test("leaves others as they are", async () => {
    const other = await RawClient.begin(serving.url);
    const stream = await other.listen();
    const answer = await other.startCall("wait", { name: "other" });
    const call = await conducted.call("other");
    await client.delete();
    await conducted.session(other.session).announce(1);
    await stream.received(1);
    call.answer("done");
    await answer.ended();
    expect(answer.messages).toMatchObject([{ id: 1, result: {} }]);
  });
});

describe("a session whose own code fails at the end", () => {
  test("is over all the same, and the log has the error", async () => {
    const log = new RecordedLog();
    const failing = await serve(
      defineServer(() => {
        const server = new McpServer({ name: "failing", version: "1" });
        server.close = async () => {
          throw new Error("close failed");
        };
        return server;
      }),
      { log },
    );
    const its = await RawClient.begin(failing.url);
    expect((await its.delete()).status).toBe(200);
    await eventually(() =>
      expect(log.of("session-closed")).toEqual([{ session: its.session, ending: "closed", error: "close failed" }]),
    );
    expect(failing.node.sessions()).toEqual([]);
    await failing.stop();
  });
});
