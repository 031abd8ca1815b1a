import { afterEach, beforeEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import yardstick2 from "../../examples/yardstick-2/server.ts";
import type { SessionRecord } from "../../src/ports/registry.ts";
import { eventually } from "../support/eventually.ts";
import type { RawClient, RawMessage } from "../support/raw-client.ts";
import { listeningClients } from "./listening-clients.ts";
import { NextNode } from "./next-node.ts";
import { type ClusterNode, type ClusterNodeOptions, TestCluster } from "./test-cluster.ts";

const times = { policy: "resume", hold: 400 } as const;

let cluster: TestCluster;
let next: NextNode | undefined;

beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await next?.stop();
  next = undefined;
  await cluster.stop();
});

const start = (name: string, options: ClusterNodeOptions) => cluster.start(name, { ...times, ...options });
const withNewCode = (name: string) => start(name, { server: yardstick2 });
const withOldCode = (name: string) => start(name, { server: yardstick });
const content = (message: RawMessage | undefined) => message?.result?.structuredContent;
const refusal = (message: RawMessage | undefined) => (message?.error?.data as { reason: string } | undefined)?.reason;

async function knows(node: ClusterNode, ...names: string[]): Promise<void> {
  await eventually(async () => {
    const found = (await node.node.nodes()).map(({ name }) => name);
    expect(found).toEqual(expect.arrayContaining(names));
  });
}

describe("a session whose state newer code has changed", () => {
  test("is refused as transient where only older code runs, stays whole, and goes on where newer code runs", async () => {
    const [older, newer] = [await withOldCode("older"), await withNewCode("newer")];
    const client = await newer.begin();
    await newer.for(client).call("count");
    await newer.stop({ handOver: false });
    const answer = await older.for(client).call("count", {}, 77);
    expect(refusal(answer)).toBe("misrouted");
    expect(answer?.id).toBe(77);
    expect(older.log.of("session-unreadable")).toMatchObject([
      { session: client.session, why: expect.stringContaining("let nodes of the newer version serve") },
    ]);
    // Claimed once, however often it is asked for: the node remembers that it can't read it.
    const record = cluster.find(client.session);
    expect(refusal(await older.for(client).call("tally"))).toBe("misrouted");
    expect(cluster.find(client.session)).toEqual(record);
    const another = await withNewCode("another");
    expect(content(await another.for(client).call("tally"))).toEqual({ value: 1, node: "newer" });
    await knows(older, "another");
    expect(content(await older.for(client).call("count"))).toEqual({ value: 2, node: "another" });
  });

  test("is offered to older code once, where its node drains and only that is left", async () => {
    const newer = await start("newer", { server: yardstick2, drainDeadline: 2_500 });
    const older = await withOldCode("older");
    const client = await newer.begin();
    await newer.for(client).call("count");
    await knows(newer, "older");
    await newer.node.drain();
    expect(newer.log.of("session-not-taken")).toMatchObject([{ by: "older", why: "unreadable" }]);
    // It claimed it before it knew, and the other one took it back.
    expect(cluster.find(client.session)).toMatchObject({ epoch: 3, owner: { tag: newer.node.tag } });
    expect(content(await older.for(client).call("count"))).toEqual({ value: 2, node: "newer" });
  });

  test("is given to a node that runs newer code, and the request with it", async () => {
    const [older, newer] = [await withOldCode("older"), await withNewCode("newer")];
    const client = await newer.begin();
    await newer.for(client).call("count");
    next = await NextNode.start("next", cluster.store, { oldest: 1, newest: 2 });
    await newer.stop({ handOver: false });
    await knows(older, "next");
    expect(await (await older.for(client).startCall("count")).ended()).toMatchObject({ text: '{"servedBy":"next"}' });
    expect(next.taken).toMatchObject([{ kind: "handed-over", session: { state: { count: expect.any(String) } } }]);
    expect(older.log.of("session-handed-over")).toMatchObject([{ session: client.session, to: "next" }]);
  });
});

describe("a session whose state older code has changed", () => {
  test("goes on in newer code", async () => {
    const [older, newer] = [await withOldCode("older"), await withNewCode("newer")];
    const client = await older.begin();
    for (let value = 1; value <= 3; value += 1) {
      expect(content(await older.for(client).call("count"))).toEqual({ value, node: "older" });
    }
    await older.stop({ handOver: false });
    expect(content(await newer.for(client).call("tally"))).toEqual({ value: 3, node: null });
    expect(content(await newer.for(client).call("count"))).toEqual({ value: 4, node: "newer" });
  });
});

test("unmodified clients of both SDKs whose sessions go on in newer code hear of the new tool, and call it", async () => {
  const [older, newer] = [await withOldCode("older"), await withNewCode("newer")];
  let at = older;
  const clients = await Promise.all(Object.values(listeningClients).map((connect) => connect(() => at.url)));
  for (const client of clients) {
    expect(client.tools).toContain("count");
    expect(client.tools).not.toContain("tally");
    expect(await client.call("count")).toEqual({ value: 1, node: "older" });
  }
  // As the edge does with a node that leaves.
  at = newer;
  await older.stop();
  for (const client of clients) {
    await eventually(() => expect(client.tools).toContain("tally"));
    expect(await client.call("tally")).toEqual({ value: 1, node: null });
    expect(await client.call("count")).toEqual({ value: 2, node: "newer" });
    await client.close();
  }
});

describe("a session that is kept in the next format", () => {
  const gone = { tag: "aaaaaa", incarnation: "gone" };

  /** A session of a node that is gone, which had written it in that format. */
  async function orphan(): Promise<RawClient> {
    const home = await start("home", {});
    const client = await home.begin();
    await home.stop({ handOver: false });
    const record = cluster.find(client.session) as SessionRecord;
    cluster.store.claim({ ...record, owner: gone, epoch: 5, format: 2 }, Date.now());
    return client;
  }

  test("is never claimed by a node that doesn't read it", async () => {
    const node = await start("node", {});
    const client = await orphan();
    expect(refusal(await node.for(client).call("echo", { text: "a" }))).toBe("misrouted");
    expect(cluster.find(client.session)).toMatchObject({ epoch: 5, owner: gone });
    expect(node.log.of("session-unreadable")).toMatchObject([{ why: expect.stringContaining("kept in format 2") }]);
  });

  test("is given to a node that reads it, and to none that doesn't", async () => {
    const [node, other] = [await start("node", {}), await start("other", {})];
    const client = await orphan();
    next = await NextNode.start("next", cluster.store, { oldest: 1, newest: 2 });
    await knows(node, "next");
    const answer = await (await node.for(client).startCall("echo", { text: "a" })).ended();
    expect(answer).toMatchObject({ text: '{"servedBy":"next"}' });
    expect(cluster.find(client.session)).toMatchObject({ epoch: 6, owner: { tag: next.record.tag } });
    expect(other.log.of("session-unreadable")).toEqual([]);
  });
});
