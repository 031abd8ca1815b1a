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

/** A lease after it joined it has listed the nodes once more. */
const knowsAll = () => new Promise((resolve) => setTimeout(resolve, times.lease + 2 * times.renew));
const rightIsOver = () => eventually(() => expect(cut.log.of("lease-over")).not.toEqual([]));

describe("a registry that gives no lease any more", () => {
  test("is away from everybody, though it answers other questions: nobody gives anything up", async () => {
    await other.stop();
    const another = new FailingNodes({ store: cluster.store });
    other = await cluster.start("another", { ...times, registry: another });
    const clients = [await cut.begin(), await other.begin()];
    await knowsAll();
    registry.failing = another.failing = true;
    await eventually(() => expect(cluster.store.nodes(Date.now())).toEqual([]));
    await knowsAll();
    for (const client of clients) expect(await client.call("echo", { text: "a" })).toMatchObject({ result: {} });
    expect([cut, other].flatMap(({ log }) => log.of("lease-over"))).toEqual([]);
  });
});

describe("a node that went on by promises while its lease was over", () => {
  test("gives up what was taken over meanwhile, as soon as it has joined again", async () => {
    await other.stop();
    const [lost, kept] = [await cut.begin(), await cut.begin()];
    await knowsAll();
    registry.failing = true;
    await eventually(() => expect(cluster.store.nodes(Date.now())).toEqual([]));
    expect(cut.log.of("lease-over")).toEqual([]);
    cluster.store.handOver(lost.session, 1, { owner: { tag: "m4m4m4", incarnation: "two" } }, Date.now());
    expect(cut.node.sessions()).toHaveLength(2);
    registry.failing = false;
    await eventually(() => expect(cut.node.sessions().map(({ id }) => id)).toEqual([kept.session]));
    expect(cut.log.of("session-lost")).toMatchObject([{ session: lost.session, theirEpoch: 2 }]);
    expect(await kept.call("echo", { text: "a" })).toMatchObject({ result: {} });
  });
});

describe("a node whose right to own sessions is over", () => {
  test("gives its sessions up, and they go on elsewhere", async () => {
    const client = await cut.begin();
    registry.failing = true;
    await rightIsOver();
    expect(cut.node.sessions()).toEqual([]);
    expect(await other.for(client).call("echo", { text: "a" })).toMatchObject({ result: {} });
    expect(cluster.find(client.session)).toMatchObject({ epoch: 2, owner: { tag: other.node.tag } });
  });

  test("ends none of them for being idle: thawed, it looks for idle ones before it asks for its lease", async () => {
    let hours = 0;
    const clock = { now: () => cluster.clock.now() + hours * 3_600_000 };
    const frozenRegistry = new FailingNodes({ store: cluster.store });
    const idle = { sessionIdle: 1_800_000, parkAfter: 1_000 };
    const frozen = await cluster.start("frozen", { ...times, ...idle, registry: frozenRegistry, clock });
    const client = await frozen.begin();
    const held = frozenRegistry.hold();
    cluster.store.handOver(client.session, 1, { owner: { tag: "m4m4m4", incarnation: "two" } }, Date.now());
    hours = 1;
    await eventually(() => expect(frozen.node.sessions()).toEqual([]));
    held.release();
    expect(frozen.log.of("session-closed")).toEqual([]);
    expect(cluster.find(client.session)).toMatchObject({ epoch: 2 });
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
