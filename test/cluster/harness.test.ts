import { createClient } from "redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { initialize } from "../support/raw-mcp.ts";
import { type Cluster, startCluster } from "./harness.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, cuttableRedis: true });
});
afterAll(() => cluster?.stop());

const at = (index: number) => `${cluster.nodes[index]?.url}/mcp`;

async function answers(index: number): Promise<boolean> {
  try {
    return (await fetch(`${cluster.nodes[index]?.url}/livez`, { signal: AbortSignal.timeout(300) })).ok;
  } catch {
    return false;
  }
}

/** Whether Redis knows a session that was opened on a node. */
async function isKnown(session: string): Promise<boolean> {
  const redis = createClient({ url: cluster.redis.url, socket: { reconnectStrategy: false } });
  redis.on("error", () => {});
  await redis.connect();
  try {
    return (await redis.exists(`mcp:session:{${session}}`)) === 1;
  } finally {
    redis.destroy();
  }
}

test("a frozen node does not answer until it is thawed", async () => {
  cluster.freeze(0);
  expect(await answers(0)).toBe(false);
  expect(await answers(1)).toBe(true);
  cluster.thaw(0);
  await cluster.waitFor(() => answers(0), { deadline: 5_000, what: "the thawed node to answer" });
});

test("connections to Redis that are cut are opened again", async () => {
  cluster.redis.cut();
  const session = await initialize(at(0));
  await cluster.waitFor(() => isKnown(session), { deadline: 20_000, what: "the session to be in Redis" });
});

test("Redis can be frozen, and killed and brought back, while nodes serve", async () => {
  cluster.redis.freeze();
  const first = await initialize(at(0));
  cluster.redis.thaw();
  await cluster.waitFor(() => isKnown(first), { deadline: 20_000, what: "the first session to be in Redis" });
  await cluster.redis.kill();
  const second = await initialize(at(1));
  await cluster.redis.startAgain();
  await cluster.waitFor(() => isKnown(second), { deadline: 20_000, what: "the second session to be in Redis" });
});

test("a node can be ended gracefully, or without a word", async () => {
  await cluster.stopNode(0);
  expect(cluster.logs().some(({ event, node }) => event === "node-stopped" && node === "node-1")).toBe(true);
  await cluster.kill(1);
  expect(cluster.logs().some(({ event, node }) => event === "node-stopped" && node === "node-2")).toBe(false);
  expect([await answers(0), await answers(1)]).toEqual([false, false]);
});

test("what never comes is told, with the last lines of the log", async () => {
  const wait = cluster.waitFor(() => false, { deadline: 50, what: "what never comes" });
  await expect(wait).rejects.toThrow(/^Waited 50 ms in vain for what never comes\n.*process-exited/s);
});
