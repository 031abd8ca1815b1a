import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { type CookieProxy, startCookieProxy } from "../support/cookie-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { connectClient } from "./client.ts";

let cluster: Cluster;
let proxy: CookieProxy;
beforeAll(async () => {
  cluster = await startCluster({ server: "trips" });
  proxy = await startCookieProxy({ target: cluster.mcps, ca: await readFile(cluster.ca) });
});
afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

async function graphql(query: string): Promise<Record<string, unknown>> {
  const response = await fetch(cluster.graphql ?? "", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
    signal: AbortSignal.timeout(10_000),
  });
  return ((await response.json()) as { data: Record<string, unknown> }).data;
}

it("a session behind Traefik hears of changes that are made by GraphQL on each of the nodes", async () => {
  const { createTrip } = await graphql(
    `mutation { createTrip(from: "Lisbon", to: "Oslo", departure: "2026-05-01T09:30:00Z") { id } }`,
  );
  const { id } = createTrip as { id: string };
  const session = await connectClient(proxy.url);
  await session.call("watch_trip", { id });

  const madeOn: string[] = [];
  while (new Set(madeOn).size < 3 && madeOn.length < 30) {
    const { updateTrip } = await graphql(`mutation { updateTrip(id: "${id}", status: DELAYED) { changedOn } }`);
    madeOn.push((updateTrip as { changedOn: string }).changedOn);
  }
  expect([...new Set(madeOn)].sort()).toEqual(["node-1", "node-2", "node-3"]);
  const told = madeOn.map((node) => ({ kind: "changed", id, changed: { status: "DELAYED" }, node }));
  await eventually(() => expect(session.logged).toEqual(told));

  await session.call("start_worker", { tripId: id, steps: 2, everyMs: 20 });
  await eventually(() => expect(session.logged.at(-1)).toMatchObject({ kind: "worker", state: "done" }));
  await session.close();
});
