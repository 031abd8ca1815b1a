import { createClient } from "redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import { type CuttableProxy, startCuttableProxy } from "../support/cuttable-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { call, initialize, type RawAnswer } from "../support/raw-mcp.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";

const times = { lease: 2_000, renew: 400, hold: 8_000 };

let valkey: Valkey;
let proxies: CuttableProxy[];
let nodes: Serving[];
const log = new RecordedLog();

beforeAll(async () => {
  valkey = await startValkey();
  proxies = await Promise.all([1, 2, 3].map(() => startCuttableProxy(valkey.port)));
  nodes = [];
  for (const [index, { port }] of proxies.entries()) {
    const name = `node-${index + 1}`;
    nodes.push(await serve(yardstick, { name, redis: `redis://127.0.0.1:${port}`, log, ...times }));
  }
  // By then each has listed the nodes a lease after it joined, and none is a newcomer.
  await new Promise((resolve) => setTimeout(resolve, times.lease + 2 * times.renew));
}, 30_000);
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await valkey.stop();
});

const at = (index: number) => (nodes[index] as Serving).mcp;
const countOf = ({ body }: RawAnswer) => body.result?.structuredContent?.value as number | undefined;

async function timed<T>(act: Promise<T>): Promise<readonly [T, ms: number]> {
  const began = performance.now();
  return [await act, performance.now() - began];
}

test("a node that alone is cut off from Redis answers nothing unwritten, and nothing acknowledged is lost", {
  timeout: 30_000,
}, async () => {
  const session = await initialize(at(0));
  const other = await initialize(at(0));
  for (const n of [1, 2, 3]) expect(countOf(await call(at(0), session, "count", {}, n))).toBe(n);
  (proxies[0] as CuttableProxy).block();
  const calls = [
    call(at(0), session, "count", {}, 4),
    // Its head would leave after 20 ms, if its beginning could be noted.
    call(at(0), other, "sleep", { ms: 20_000, steps: 0 }, 5),
  ];
  const beginning = initialize(at(0));
  beginning.catch(() => {});
  // Nothing of this is answered until the node gives up what it owns.
  const [answers, ms] = await timed(Promise.all(calls));
  for (const { body } of answers) {
    expect(body.result).toMatchObject({ isError: true });
    expect(JSON.stringify(body.result)).toContain("may or may not have run");
  }
  expect(ms).toBeGreaterThan(times.lease * 0.5);
  expect(ms).toBeLessThan(times.lease + 1_000);
  expect(log.of("lease-over")).toMatchObject([{ node: "node-1" }]);
  await expect(beginning).rejects.toThrow("503");

  expect(countOf(await call(at(1), session, "count", {}, 6))).toBe(4);
  (proxies[0] as CuttableProxy).unblock();
  await eventually(async () => expect(countOf(await call(at(0), session, "count", {}, 7))).toBeGreaterThanOrEqual(5));
});

test("while Redis is gone for all, answers leave as soon as all have found out, and nothing is lost", {
  timeout: 30_000,
}, async () => {
  const sessions = await Promise.all([1, 1, 2].map((index) => initialize(at(index))));
  const [first, second] = sessions as [string, string];
  expect(countOf(await call(at(1), first, "count", {}, 1))).toBe(1);
  valkey.freeze();
  try {
    const [answer, ms] = await timed(call(at(1), first, "count", {}, 2));
    expect(countOf(answer)).toBe(2);
    console.log(`the first answer after ${Math.round(ms)} ms`);
    // The deadline of its write, and that of the others' own questions, which begin a moment later.
    expect(ms).toBeLessThan(2_000);
    for (let n = 3; n < 20; n += 1) {
      const [next, nextMs] = await timed(call(at(1), first, "count", {}, n));
      expect(countOf(next)).toBe(n);
      expect(nextMs).toBeLessThan(500);
      await new Promise((resolve) => setTimeout(resolve, times.lease / 10));
    }
    const begun = await initialize(at(1));
    expect(countOf(await call(at(1), begun, "count", {}, 1))).toBe(1);
  } finally {
    valkey.thaw();
  }
  await eventually(async () => expect(countOf(await call(at(1), second, "count", {}, 1))).toBe(1));
  expect(log.of("lease-over")).toHaveLength(1);
  await eventually(() => expect(log.of("registry-up").length).toBeGreaterThanOrEqual(3));
  await eventually(async () => expect(await stateOf(first)).toContain("19"));
});

/** What Redis has of a session's counter. */
async function stateOf(session: string): Promise<string> {
  const client = createClient({ url: valkey.url });
  await client.connect();
  try {
    return JSON.stringify(await client.hGetAll(`mcp:session:{${session}}:state`));
  } finally {
    client.destroy();
  }
}
