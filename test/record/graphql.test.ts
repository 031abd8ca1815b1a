import { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { jarTransport } from "../support/jar-client.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, server: "trips" });
});
afterAll(() => cluster?.stop());

async function whoami(headers: Record<string, string> = {}): Promise<{ node: string; setCookie: string | null }> {
  const answer = await fetch(cluster.graphql as string, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query: "{ whoami { node } }" }),
  });
  const { data } = (await answer.json()) as { data: { whoami: { node: string } } };
  return { node: data.whoami.node, setCookie: answer.headers.get("set-cookie") };
}

async function spread(headers: Record<string, string> = {}): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let index = 0; index < 30; index += 1) {
    const { node, setCookie } = await whoami(headers);
    expect(setCookie).toBeNull();
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return counts;
}

test("GraphQL takes turns over all nodes, and sets no cookie", async () => {
  expect(Object.fromEntries(await spread())).toEqual({ "node-1": 10, "node-2": 10, "node-3": 10 });
});

test("GraphQL takes turns also for a client that holds the cookie of a session", async () => {
  const { transport, jar, close } = jarTransport(cluster.mcps, cluster.ca);
  const client = new Client({ name: "jar", version: "1.0.0" });
  await client.connect(transport);
  const [cookie] = await jar.getCookies(cluster.mcps);
  expect(Object.fromEntries(await spread({ cookie: `_mcp_backend=${cookie?.value}` }))).toEqual({
    "node-1": 10,
    "node-2": 10,
    "node-3": 10,
  });
  await client.close();
  await close();
});
