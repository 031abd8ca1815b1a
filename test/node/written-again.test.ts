import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/ports/clock.ts";
import type { Registry, Written } from "../../src/ports/registry.ts";
import { FailingRegistry } from "../registry/failing-registry.ts";
import { eventually } from "../support/eventually.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

/** Says how the writes went that reached it. */
class TellingRegistry extends FailingRegistry {
  readonly outcomes: string[] = [];

  override async write(...args: Parameters<Registry["write"]>): Promise<Written> {
    const written = await super.write(...args);
    this.outcomes.push(written.kind);
    return written;
  }
}

let cluster: TestCluster;
let registry: TellingRegistry;
let node: ClusterNode;

beforeEach(async () => {
  cluster = new TestCluster();
  registry = new TellingRegistry({ store: cluster.store });
  // The real clock, by which the log of events is kept.
  const times = { clock: systemClock, lease: 5_000, renew: 50 };
  node = await cluster.start("node-1", { policy: "resume", relay: "off", registry, ...times });
});
afterEach(() => cluster.stop());

test("a session that could not be written again after the registry lost it is written whole when that works", async () => {
  const client = await node.begin();
  const id = client.session;
  const { context, announce } = node.conducted.session(id);
  const count = context.state("count", 0);
  const stream = await client.listen();
  const call = await client.startCall("wait", { name: "long" });
  count.value = 1;
  await announce(1);
  await stream.received(1);
  context.pin("it holds a socket");
  await eventually(() => expect(cluster.find(id)?.pinned).toBe("it holds a socket"));

  registry.failure = "unavailable";
  registry.calls.length = 0;
  cluster.store.lose();
  await eventually(() => expect(node.log.of("registry-lost-entries")).toHaveLength(1));
  await eventually(() => expect(registry.calls).toContain(`claim ${id}`));
  // It goes on, and changes. That leaves when it is written: the node has its lease, so that the registry is there.
  count.value = 2;
  await announce(2);
  expect(stream.messages).toHaveLength(1);
  expect(cluster.find(id)).toBeUndefined();

  registry.failure = undefined;
  registry.outcomes.length = 0;
  registry.tellReachable(true);
  await eventually(() => expect(registry.outcomes).toContain("written"));
  // As the next owner gets it.
  const taken = cluster.store.handOver(
    id,
    1,
    { owner: { tag: "p7m2xa", incarnation: "other" }, peer: undefined },
    Date.now(),
  );
  expect(taken).toMatchObject({
    kind: "handed-over",
    session: {
      record: { pinned: "it holds a socket", journal: { initialize: expect.stringContaining('"raw"') } },
      state: { count: '{"d":2}' },
      sequence: 2,
      carried: 1,
      ledger: [{ request: "1", method: "tools/call" }],
    },
  });
  const { events } = (taken as Extract<typeof taken, { kind: "handed-over" }>).session;
  expect(events.filter(({ stream: name }) => name === "s").map(({ sequence }) => sequence)).toEqual([1, 2]);
  await stream.received(2);
  (await node.conducted.call("long")).answer("done");
  await call.ended();
  stream.cut();
});
