import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "../support/raw-client.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";

let valkey: Valkey;
let admin: ReturnType<typeof createClient>;
let log: RecordedLog;
let node: Serving;

const hour = 3_600_000;

/** A clock that only the test moves, so that no session is idle before its time on a busy machine. */
let now = Date.now();
const clock = { now: () => now };
const times = { parkAfter: 1_000, sessionIdle: hour };

async function start(): Promise<Serving> {
  // Signs of life so seldom that none falls into a count of commands.
  const quiet = { relay: "off" as const, renew: 60_000, lease: 600_000 };
  return await serve(yardstick, { redis: valkey.url, log, clock, ...times, ...quiet });
}

beforeAll(async () => {
  valkey = await startValkey();
  admin = createClient({ url: valkey.url });
  admin.on("error", () => {});
  await admin.connect();
});

afterAll(async () => {
  admin.destroy();
  await valkey.stop();
});

beforeEach(async () => {
  await admin.sendCommand(["FLUSHALL"]);
  log = new RecordedLog();
  node = await start();
});

afterEach(async () => {
  await node.stop();
});

const ttlOf = (session: string) => admin.pTTL(`mcp:session:{${session}}`);
const valueIn = (answer: Awaited<ReturnType<typeof call>>) => answer.body.result?.structuredContent?.value;

async function parked(): Promise<void> {
  now += times.parkAfter;
  await eventually(() => expect(log.of("session-parked")).toHaveLength(1));
}

describe("a session that is parked in Redis", () => {
  test("costs Redis one command to leave, and comes back as it was", async () => {
    const session = await initialize(node.mcp);
    for (let value = 1; value <= 3; value += 1) expect(valueIn(await call(node.mcp, session, "count"))).toBe(value);
    await admin.sendCommand(["CONFIG", "RESETSTAT"]);
    await parked();
    const commands = async () => {
      const info = String(await admin.sendCommand(["INFO", "commandstats"]));
      const calls = [...info.matchAll(/^cmdstat_(evalsha|hgetall):calls=(\d+)/gm)];
      return Object.fromEntries(calls.map(([, name, count]) => [name, Number(count)]));
    };
    expect(await commands()).toEqual({ evalsha: 1 });
    expect(node.node.sessions()).toEqual([]);
    expect(valueIn(await call(node.mcp, session, "count"))).toBe(4);
  });

  test("is kept for half as long again as it may be idle, from when it was parked", async () => {
    const session = await initialize(node.mcp);
    expect(await ttlOf(session)).toBeGreaterThan(1.4 * hour);
    expect(await ttlOf(session)).toBeLessThanOrEqual(1.5 * hour);
    await admin.pExpire(`mcp:session:{${session}}`, 60_000);
    await parked();
    expect(await ttlOf(session)).toBeGreaterThan(1.4 * hour);
  });

  test("gives its stream from where its client was", async () => {
    const client = await RawClient.begin(node.url);
    const stream = await client.listen();
    await client.call("announce", { count: 3, everyMs: 0 });
    await stream.received(3);
    stream.cut();
    await parked();
    const rest = await client.listen("s-2");
    expect(await rest.received(1)).toMatchObject([{ params: { data: { n: 3 } } }]);
    rest.cut();
  });

  test("waits for its announcements to be over: a task that was started goes on", async () => {
    const client = await RawClient.begin(node.url);
    await client.call("announce", { count: 8, everyMs: 100 });
    now += times.parkAfter;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(log.of("session-parked")).toEqual([]);
    await parked();
    const stream = await client.listen();
    expect(await stream.received(8)).toHaveLength(8);
    stream.cut();
  });

  test("outlives its node", async () => {
    const session = await initialize(node.mcp);
    await call(node.mcp, session, "count");
    await parked();
    await node.stop();
    node = await start();
    expect(valueIn(await call(node.mcp, session, "count"))).toBe(2);
    expect(log.of("session-adopted")).toMatchObject([{ session, epoch: 2 }]);
  });

  test("is lost with Redis", async () => {
    const session = await initialize(node.mcp);
    await parked();
    await admin.sendCommand(["FLUSHALL"]);
    expect(await node.node.hasSession(session)).toBe(false);
  });
});
