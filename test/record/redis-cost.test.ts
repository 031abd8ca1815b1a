import { createClient } from "redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { call, initialize } from "../support/raw-mcp.ts";

let cluster: Cluster;
let redis: ReturnType<typeof createClient>;

beforeAll(async () => {
  // Nodes renew their own keys so seldom here that none does so while commands are counted.
  cluster = await startCluster({ nodes: 3, server: "yardstick", args: ["--lease", "30min", "--renew", "10min"] });
  redis = createClient({ url: cluster.redis.url });
  await redis.connect();
});
afterAll(async () => {
  redis?.destroy();
  await cluster?.stop();
});

/** How often Redis ran each command since the last look. What a script runs inside is counted too. */
async function commandsSinceLastLook(): Promise<Record<string, number>> {
  const info = await redis.info("commandstats");
  await redis.sendCommand(["CONFIG", "RESETSTAT"]);
  const lines = info.matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g);
  const counts = Object.fromEntries([...lines].map(([, name, calls]) => [name as string, Number(calls)]));
  // Signs of life of the nodes' connections, and this test's own commands.
  for (const name of ["ping", "info", "config|resetstat"]) delete counts[name];
  return counts;
}

test("a new session costs one write, and a call costs no command at all", async () => {
  await commandsSinceLastLook();
  const sessions: { readonly id: string; readonly mcp: string }[] = [];
  for (let index = 0; index < 30; index += 1) {
    const mcp = `${cluster.nodes[index % 3]?.url}/mcp`;
    sessions.push({ id: await initialize(mcp), mcp });
  }
  // The script of the write asks whether the key is there, sets it, and sets its time.
  expect(await commandsSinceLastLook()).toEqual({ evalsha: 30, exists: 30, hset: 30, pexpire: 30 });

  for (const { id, mcp } of sessions) {
    for (let number = 1; number <= 10; number += 1) {
      expect((await call(mcp, id, "echo", { text: "x" }, number)).status).toBe(200);
    }
  }
  expect(await commandsSinceLastLook()).toEqual({});
});
