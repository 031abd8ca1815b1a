import { afterEach, beforeEach, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { connectWithJar } from "../support/jar-client.ts";

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster({ nodes: 3, server: "trips", args: ["--policy", "reject"] });
});
afterEach(() => cluster?.stop());

async function graphqlNode(): Promise<string | undefined> {
  const answer = await fetch(cluster.graphql as string, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: "{ whoami { node } }" }),
    signal: AbortSignal.timeout(5_000),
  });
  if (!answer.ok) return undefined;
  return ((await answer.json()) as { data: { whoami: { node: string } } }).data.whoami.node;
}

test("clients of a killed node initialize again on another and go on; GraphQL loses no request once the edge knows", async () => {
  const clients = await Promise.all(Array.from({ length: 12 }, () => connectWithJar(cluster.mcps, cluster.ca)));
  const tag = cluster.nodes[0]?.tag as string;
  const orphans = clients.filter(({ sessionId }) => sessionId.startsWith(`${tag}.`));
  expect(orphans.length).toBeGreaterThan(0);
  await cluster.kill(0);

  // The edge has seen it when requests that go round all its nodes don't fail and don't reach the dead one.
  await cluster.waitFor(
    async () => {
      const nodes = await Promise.all([1, 2, 3, 4, 5, 6].map(graphqlNode));
      return nodes.every((node) => node !== undefined && node !== "node-1");
    },
    { deadline: 10_000, what: "the edge to take the dead node out" },
  );
  const answers = [];
  for (let index = 0; index < 200; index += 1) answers.push(await graphqlNode());
  expect(answers.filter((node) => node === undefined)).toEqual([]);
  expect(new Set(answers)).toEqual(new Set(["node-2", "node-3"]));

  for (const orphan of orphans) {
    await expect(orphan.client.callTool({ name: "list_trips", arguments: {} })).rejects.toThrow();
    const again = await connectWithJar(cluster.mcps, cluster.ca, orphan.jar);
    expect(again.sessionId.startsWith(`${tag}.`)).toBe(false);
    await again.client.callTool({ name: "list_trips", arguments: {} });
    await again.leave();
  }
  const others = clients.filter((client) => !orphans.includes(client));
  for (const other of others) await other.client.callTool({ name: "list_trips", arguments: {} });
  await Promise.all(clients.map((client) => client.leave()));
});
