import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { connectWithJar, type JarClient } from "../support/jar-client.ts";
import { runPython } from "../support/python.ts";

const full = process.env.MOORING_FULL === "1";

describe("a client that keeps cookies", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3, server: "yardstick", args: ["--policy", "reject"] });
  });
  afterAll(() => cluster?.stop());

  /** Each session's calls went to one node, and the sessions are on all three. */
  function expectPinnedAndSpread(nodesOfSessions: readonly (readonly string[])[]): void {
    for (const nodes of nodesOfSessions) expect(new Set(nodes).size).toBe(1);
    const counts = new Map<string, number>();
    for (const [node] of nodesOfSessions) counts.set(node as string, (counts.get(node as string) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual(["node-1", "node-2", "node-3"]);
    // Round robin gives each a third; half of that would be a fault.
    for (const count of counts.values()) expect(count).toBeGreaterThan(nodesOfSessions.length / 6);
  }

  test("is served by one node all its session long, and a hundred of them are spread over all nodes", async () => {
    const clients: JarClient[] = [];
    for (let index = 0; index < 100; index += 1) clients.push(await connectWithJar(cluster.mcps, cluster.ca));
    const nodes = await Promise.all(
      clients.map(async (client) => [await client.where(), await client.where(), await client.where()]),
    );
    expectPinnedAndSpread(nodes);
    await Promise.all(clients.map((client) => client.leave()));
  });

  test("is given the cookie with exactly the record's attributes, once", async () => {
    const client = await connectWithJar(cluster.mcps, cluster.ca);
    const [cookie, ...others] = await client.jar.getCookies(cluster.mcps);
    expect(others).toEqual([]);
    expect(cookie).toMatchObject({
      key: "_mcp_backend",
      path: "/mcp",
      httpOnly: true,
      secure: true,
      sameSite: "strict",
      hostOnly: true,
    });
    expect(cookie?.expires).toBe("Infinity");
    await client.leave();
  });

  test.each(["1.29.0", "2.3.0"] as const)(
    "is served by one node also as the Python SDK %s",
    { timeout: 300_000 },
    async (sdk) => {
      const sessions = full ? 100 : 15;
      const nodes = await runPython<string[][]>(sdk, "sessions.py", [cluster.mcps, String(sessions), "4"], {
        ca: cluster.ca,
      });
      expect(nodes).toHaveLength(sessions);
      expectPinnedAndSpread(nodes);
    },
  );
});
