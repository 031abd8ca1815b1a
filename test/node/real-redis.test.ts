import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";

let valkey: Valkey;
let admin: ReturnType<typeof connectAdmin>;
let log: RecordedLog;
let first: Serving;
let second: Serving;

/** Signs of life so seldom that none falls into a test which counts commands. */
const quiet = { relay: "off" as const, renew: 60_000, lease: 600_000 };

/** A lease that a busy machine does not let run out, and that is soon over for a newcomer. */
const soonKnown = { lease: 1_500, renew: 250 };

function connectAdmin(url: string) {
  const client = createClient({ url });
  client.on("error", () => {});
  return client;
}

beforeAll(async () => {
  valkey = await startValkey();
  admin = connectAdmin(valkey.url);
  await admin.connect();
});

afterAll(async () => {
  admin.destroy();
  await valkey.stop();
});

beforeEach(async () => {
  await admin.sendCommand(["FLUSHALL"]);
  log = new RecordedLog();
  const { definition } = new ConductedServer();
  first = await serve(definition, { name: "node-1", redis: valkey.url, log, ...quiet });
  second = await serve(definition, { name: "node-2", redis: valkey.url, ...quiet });
});

afterEach(async () => {
  await Promise.all([first.stop(), second.stop()]);
});

/** How often each command was called since the last reset, without those that look. */
async function commandCalls(): Promise<Record<string, number>> {
  const info = String(await admin.sendCommand(["INFO", "commandstats"]));
  const calls = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
    ([, name, count]) => [String(name), Number(count)] as const,
  );
  return Object.fromEntries(calls.filter(([name]) => !/^(info|config|client|monitor)/.test(name)));
}

/**
 * The keys of the sessions that clients' commands were about meanwhile, one for each command. Others are not counted:
 * when a busy machine makes a node doubt whether Redis is there, it asks for its lease.
 */
async function sessionsAskedAbout(act: () => Promise<unknown>): Promise<string[]> {
  const watcher = connectAdmin(valkey.url);
  await watcher.connect();
  const seen: string[] = [];
  await watcher.monitor((line: unknown) => {
    const [, source, key] = /^\S+ \[\d+ (\S+)\] .*?"(mcp:session:\{[^}]+\}|the end)/.exec(String(line)) ?? [];
    if (source !== "lua" && key !== undefined) seen.push(key);
  });
  await act();
  await admin.echo("the end");
  await eventually(() => expect(seen).toContain("the end"));
  watcher.destroy();
  return seen.filter((key) => key !== "the end");
}

async function resetCalls(): Promise<void> {
  await admin.sendCommand(["CONFIG", "RESETSTAT"]);
}

const keyOf = (client: RawClient) => `mcp:session:{${client.session}}`;

describe("what a node asks of Redis", () => {
  test("is one write for each new session, and nothing for its calls, streams and resumes", async () => {
    await RawClient.begin(first.url);
    let clients: RawClient[] = [];
    const asked = await sessionsAskedAbout(async () => {
      clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.begin(first.url)));
    });
    expect(asked.sort()).toEqual(clients.map(keyOf).sort());
    await resetCalls();
    for (const client of clients) {
      for (let count = 0; count < 5; count += 1) await client.call("echo", { text: "a" });
      const stream = await client.listen();
      stream.cut();
      (await client.listen("s-0")).cut();
    }
    expect(await commandCalls()).toEqual({});
  });

  test("is nothing for a session id that no node can have minted", async () => {
    await resetCalls();
    const client = await RawClient.begin(first.url);
    await resetCalls();
    for (const session of ["nonsense", "a}b{c", "__proto__", "x".repeat(1_000)]) {
      const answer = await client.post({ jsonrpc: "2.0", id: 1, method: "ping" }, { "mcp-session-id": session });
      expect(answer.status).toBe(404);
      expect(await first.node.hasSession(session)).toBe(false);
      expect(await first.node.close(session)).toBe(false);
    }
    expect(await commandCalls()).toEqual({});
  });
});

describe("two nodes on one Redis", () => {
  test("tell a misrouted session from an unknown one", async () => {
    const client = await RawClient.begin(first.url);
    const misrouted = await (await client.at(second.url).startCall("echo", { text: "a" })).ended();
    expect(misrouted.message).toMatchObject({ id: 1, error: { data: { reason: "misrouted", next: "retry" } } });
    await admin.del(keyOf(client));
    const unknown = await (await client.at(second.url).startCall("echo", { text: "a" })).ended();
    expect(unknown.message).toMatchObject({ id: null, error: { data: { reason: "unknown", next: "initialize" } } });
    // Where it lives it goes on, whatever the registry has lost.
    expect(await client.call("echo", { text: "a" })).toMatchObject({ result: {} });
  });

  test("close each other's sessions: the key goes, and the owner drops its copy", async () => {
    const client = await RawClient.begin(first.url);
    const stream = await client.listen();
    expect(await admin.exists(keyOf(client))).toBe(1);
    expect((await client.at(second.url).delete()).status).toBe(200);
    expect(await admin.exists(keyOf(client))).toBe(0);
    expect((await stream.ended()).end).toBe("whole");
    expect(first.node.sessions()).toEqual([]);
  });

  test("hear of a close that was told while they could not hear it, though Redis answered all the time", async () => {
    const [client, other] = [await RawClient.begin(first.url), await RawClient.begin(first.url)];
    const stream = await client.listen();
    const closing = [admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]), second.node.close(client.session)];
    expect((await Promise.all(closing))[1]).toBe(true);
    expect((await stream.ended()).end).toBe("whole");
    expect(first.node.sessions().map(({ id }) => id)).toEqual([other.session]);
    expect(log.of("registry-subscription-down")).toHaveLength(1);
    expect(log.of("registry-down")).toEqual([]);
    expect(await other.call("echo", { text: "a" })).toMatchObject({ result: {} });
  });

  test("take up a session whose owner has left, and close it, too", async () => {
    const client = await RawClient.begin(first.url);
    await first.stop();
    expect(await admin.exists(keyOf(client))).toBe(1);
    expect(await client.at(second.url).call("echo", { text: "a" })).toMatchObject({ result: {} });
    expect(await admin.hGet(keyOf(client), "epoch")).toBe("2");
    expect((await client.at(second.url).delete()).status).toBe(200);
    expect(await admin.exists(keyOf(client))).toBe(0);
    first = await serve(new ConductedServer().definition, { name: "node-1", redis: valkey.url, ...quiet });
  });
});

describe("while Redis is away", () => {
  /** A Redis that a test may kill, and a node on it. */
  async function withOwnRedis(test: (own: Valkey, serving: Serving) => Promise<Valkey>): Promise<void> {
    let own = await startValkey();
    const serving = await serve(new ConductedServer().definition, { redis: own.url, log, ...soonKnown });
    // Before it has listed the nodes a lease after it joined, it does not know that it is alone.
    await new Promise((resolve) => setTimeout(resolve, soonKnown.lease + 2 * soonKnown.renew));
    try {
      own = await test(own, serving);
    } finally {
      await serving.stop();
      await own.stop();
    }
  }

  async function expectKeys(url: string, present: readonly RawClient[], absent: readonly RawClient[]): Promise<void> {
    const look = connectAdmin(url);
    await look.connect();
    try {
      await eventually(async () => {
        expect(await Promise.all(present.map((client) => look.exists(keyOf(client))))).toEqual(present.map(() => 1));
        expect(await Promise.all(absent.map((client) => look.exists(keyOf(client))))).toEqual(absent.map(() => 0));
      });
    } finally {
      look.destroy();
    }
  }

  test("dead: sessions are served, new ones begin, one is closed, and what is owed is written when it is back", async () => {
    await withOwnRedis(async (own, { url, node }) => {
      const old = await RawClient.begin(url);
      const stream = await old.listen();
      await own.kill();
      const during: RawClient[] = [];
      for (let count = 0; count < 5; count += 1) {
        expect(await old.call("echo", { text: "a" })).toMatchObject({ result: {} });
        during.push(await RawClient.begin(url));
      }
      const [closed, ...kept] = during as [RawClient, ...RawClient[]];
      expect((await closed.delete()).status).toBe(200);
      expect(stream.end).toBe("open");
      // Nobody knows whether it exists: "unknown" would make a client give up a session that lives elsewhere.
      const elsewhere = `${node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`;
      const refused = await (
        await old.post({ jsonrpc: "2.0", id: 1, method: "ping" }, { "mcp-session-id": elsewhere })
      ).ended();
      expect(refused.message).toMatchObject({ id: 1, error: { data: { reason: "misrouted", next: "retry" } } });
      expect(await node.hasSession(elsewhere)).toBe(false);
      expect(await node.hasSession(old.session)).toBe(true);
      expect(log.of("registry-down")).toHaveLength(1);
      const back = await startValkey({ port: own.port });
      await expectKeys(back.url, kept, [closed]);
      expect(log.of("registry-up")).toHaveLength(1);
      expect(await old.call("echo", { text: "a" })).toMatchObject({ result: {} });
      stream.cut();
      return back;
    });
  });

  test("silent: nobody waits longer than one deadline, and soon nobody waits at all", async () => {
    await withOwnRedis(async (own, { url }) => {
      const old = await RawClient.begin(url);
      own.freeze();
      try {
        const began = performance.now();
        const during = await Promise.all([1, 2, 3].map(() => RawClient.begin(url)));
        expect(performance.now() - began).toBeLessThan(3_000);
        const known = performance.now();
        during.push(await RawClient.begin(url));
        expect(await old.call("echo", { text: "a" })).toMatchObject({ result: {} });
        expect(performance.now() - known).toBeLessThan(500);
        own.thaw();
        await expectKeys(own.url, [old, ...during], []);
      } finally {
        own.thaw();
      }
      return own;
    });
  });
});
