import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { call, initialize } from "../support/raw-mcp.ts";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, server: "yardstick" });
});
afterAll(async () => {
  await cluster?.stop();
});

/** The tags of so many new sessions. */
async function tagsOfNewSessions(count: number): Promise<Set<string>> {
  const ids = await Promise.all(Array.from({ length: count }, () => initialize(cluster.mcp)));
  return new Set(ids.map((id) => id.split(".")[0] as string));
}

test("a node of a local cluster that drains is out of the pool within a second, keeps its sessions, and comes back", async () => {
  const [first] = cluster.nodes;
  if (first === undefined) throw new Error("no node");
  const sessions: string[] = [];
  while (!sessions.some((id) => id.startsWith(first.tag))) sessions.push(await initialize(cluster.mcp));
  const session = sessions.find((id) => id.startsWith(first.tag)) as string;

  expect((await cluster.mooring("drain", first.name)).code).toBe(0);
  await cluster.waitFor(async () => !(await tagsOfNewSessions(6)).has(first.tag), {
    deadline: 1_000,
    what: `${first.name} gets no new sessions`,
  });
  for (let number = 1; number <= 5; number += 1) {
    expect((await call(cluster.mcp, session, "echo", { text: "x" }, number)).status).toBe(200);
  }
  await cluster.waitForLog("edge-published", (line) => (line.draining as string[]).includes(first.name));

  expect((await cluster.mooring("drain", first.name, "--cancel")).code).toBe(0);
  await cluster.waitFor(async () => (await tagsOfNewSessions(6)).has(first.tag), {
    deadline: 2_000,
    what: `${first.name} gets new sessions again`,
  });
});

test("a node that ended is out of the view at once, and Redis away changes nothing", async () => {
  const [, , third] = cluster.nodes;
  await cluster.kill(2);
  await cluster.waitForLog("edge-published", (line) => (line.down as string[]).includes(third?.name ?? ""), 3_000);
  await cluster.redis.kill();
  const left = await tagsOfNewSessions(6);
  expect(left.size).toBe(2);
  expect(left.has(third?.tag ?? "")).toBe(false);
  expect(cluster.logs().filter(({ event }) => event === "edge-refused")).toEqual([]);
});
