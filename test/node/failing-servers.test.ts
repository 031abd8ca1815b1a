import { McpServer } from "@modelcontextprotocol/server";
import { defineServer, type SessionContext } from "mooring";
import { afterEach, describe, expect, test } from "vitest";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, initializeBody, RawClient, send } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

let serving: Serving;
const log = new RecordedLog();

afterEach(async () => {
  await serving.stop();
  log.lines.length = 0;
});

async function initialize() {
  const headers = { accept: acceptBoth, "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(initializeBody()) };
  return await (await send(serving.url, request)).ended();
}

/** Fails as long as it is told to. */
let failure: (() => never) | undefined;

describe("a module whose server can't be made", () => {
  test.each([
    [
      "throws",
      () => {
        throw new Error("no such table");
      },
    ],
    [
      "throws something that is no error",
      () => {
        throw "a text";
      },
    ],
    ["gives no server", undefined],
  ])(
    "because it %s: one clear 500, one line in the log, nothing left of the session, and the node goes on",
    async (_name, fails) => {
      const signals: AbortSignal[] = [];
      failure = fails;
      let broken = true;
      serving = await serve(
        defineServer(async ({ session }: { session: SessionContext }) => {
          signals.push(session.signal);
          if (broken) failure?.();
          return (broken ? undefined : new McpServer({ name: "x", version: "1" })) as McpServer;
        }),
        { log },
      );
      const answer = await initialize();
      expect(answer.status).toBe(500);
      expect(answer.message).toEqual({
        jsonrpc: "2.0",
        id: 0,
        error: { code: -32603, message: expect.stringContaining("The node's log says why") },
      });
      expect(answer.text).not.toContain("no such table");
      expect(answer.headers["mcp-session-id"]).toBeUndefined();
      expect(log.of("server-error")).toHaveLength(1);
      expect(serving.node.sessions()).toEqual([]);
      // What it had begun before it failed must end, too.
      expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
      broken = false;
      await RawClient.begin(serving.url);
      expect(serving.node.sessions()).toHaveLength(1);
    },
  );

  test("because it can't be connected twice (one server for all sessions) says so in the log", async () => {
    const one = new McpServer({ name: "shared", version: "1" });
    serving = await serve(() => one, { log });
    await RawClient.begin(serving.url);
    expect((await initialize()).status).toBe(500);
    expect(log.of("server-error")).toMatchObject([{ error: expect.stringMatching(/connect/i) }]);
  });
});

test("a module whose server never takes a session up lets its requests wait for the hold time, and no longer", async () => {
  const store = new MemoryStore();
  const times = { hold: 500, lease: 2_000, renew: 200, probe: 100 };
  const definition = defineServer(async ({ session }: { session: SessionContext }) => {
    if (session.epoch > 1) await new Promise(() => {});
    return new McpServer({ name: "x", version: "1" });
  });
  const former = await serve(definition, { ...times, name: "one", log, registry: new MemoryRegistry({ store }) });
  const client = await RawClient.begin(former.url);
  await former.stop({ handOver: false });
  serving = await serve(definition, { ...times, name: "two", log, registry: new MemoryRegistry({ store }) });
  // The first has it taken up, the others find that under way.
  const answers = [5, 6].map(async (id) => {
    const answer = await client.at(serving.url).post({ jsonrpc: "2.0", id, method: "ping" });
    return [answer.status, (await answer.ended()).message];
  });
  for (const [index, answer] of answers.entries()) {
    expect(await answer).toMatchObject([
      404,
      { id: index + 5, error: { data: { reason: "misrouted", next: "retry" } } },
    ]);
  }
});

describe("a server that fails where no client is told says so in the log", () => {
  test("when one of its tasks throws", async () => {
    serving = await serve(
      defineServer(({ session }) => {
        session.task("worker", async () => {
          throw new Error("no such fare");
        });
        return new McpServer({ name: "x", version: "1" });
      }),
      { log },
    );
    const { session } = await RawClient.begin(serving.url);
    const line = { level: "error", event: "server-error", fields: { session, task: "worker", error: "no such fare" } };
    await eventually(() => expect(log.lines).toContainEqual(line));
  });

  test("when it changes state outside calls to what can't be kept", async () => {
    serving = await serve(
      defineServer(({ session }) => {
        const seen = session.state<Record<string, unknown>>("seen", {});
        session.task("worker", async () => {
          seen.value.at = new Date(0);
        });
        return new McpServer({ name: "x", version: "1" });
      }),
      { log, registry: new MemoryRegistry() },
    );
    const { session } = await RawClient.begin(serving.url);
    const error = expect.stringContaining("value.at is a Date");
    const line = { level: "error", event: "server-error", fields: { session, error } };
    await eventually(() => expect(log.lines).toContainEqual(line));
  });
});
