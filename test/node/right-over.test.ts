import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, initializeBody, send } from "../support/raw-client.ts";
import { FailingNodes } from "./failing-nodes.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

const times = { policy: "resume", lease: 400, renew: 100, hold: 2_000 } as const;

let cluster: TestCluster;
let registry: FailingNodes;
let cut: ClusterNode;
let other: ClusterNode;

beforeEach(async () => {
  cluster = new TestCluster();
  // It can't renew its lease, and the other node, which can, does not promise.
  registry = new FailingNodes({ store: cluster.store });
  cut = await cluster.start("cut", { ...times, registry });
  other = await cluster.start("other", times);
});
afterEach(() => cluster.stop());

const rightIsOver = () => eventually(() => expect(cut.log.of("lease-over")).not.toEqual([]));

describe("a node whose right to own sessions is over", () => {
  test("gives its sessions up, and they go on elsewhere", async () => {
    const client = await cut.begin();
    registry.failing = true;
    await rightIsOver();
    expect(cut.node.sessions()).toEqual([]);
    expect(await other.for(client).call("echo", { text: "a" })).toMatchObject({ result: {} });
    expect(cluster.find(client.session)).toMatchObject({ epoch: 2, owner: { tag: other.node.tag } });
  });

  test("says that it can't begin a session, instead of one that nobody answers for", async () => {
    registry.failing = true;
    await rightIsOver();
    const headers = { accept: acceptBoth, "content-type": "application/json" };
    const body = JSON.stringify(initializeBody());
    const answer = await send(cut.url, { method: "POST", headers, body });
    expect(answer.status).toBe(503);
    expect((await answer.ended()).message).toMatchObject({ error: { message: expect.stringContaining("initialize") } });
  });

  test("begins sessions again once it has a lease", async () => {
    registry.failing = true;
    await rightIsOver();
    registry.failing = false;
    await eventually(async () => expect((await cut.begin()).session).toContain(cut.node.tag));
  });
});
