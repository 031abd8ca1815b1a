import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { RawClient } from "../support/raw-client.ts";
import { begin, minute, ParkingNodes, rounds, textOf, times } from "./parking-nodes.ts";

let nodes: ParkingNodes;

beforeEach(() => {
  nodes = new ParkingNodes();
});

afterEach(() => nodes.stop());

describe("a session that nobody uses", () => {
  test("leaves memory with all that it had, and goes on with its next request", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    expect(await textOf(client, "count")).toBe("1");
    await nodes.park(member, client);
    expect(nodes.contexts[0]?.signal.aborted).toBe(true);
    expect(nodes.tasks[0]?.signal.reason).toMatchObject({ reason: "parked" });
    expect(nodes.store.find(client.session, Date.now())).toMatchObject({ epoch: 1, owner: { tag: member.node.tag } });
    expect(await textOf(client, "count")).toBe("2");
    expect(nodes.epochOf(client)).toBe(2);
    expect(nodes.tasks.at(-1)).toMatchObject({ restored: true });
    expect(member.log.of("session-unparked")).toMatchObject([{ session: client.session, epoch: 2 }]);
  });

  test("does so again and again", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    for (let value = 1; value <= 4; value += 1) {
      expect(await textOf(client, "count")).toBe(String(value));
      nodes.pass(times.parkAfter);
      await eventually(() => expect(member.log.of("session-parked")).toHaveLength(value));
    }
    expect(nodes.epochOf(client)).toBe(4);
  });

  test("stays while its client listens, and is not taken for idle when that has just ended", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    const stream = await client.listen();
    const before = nodes.now;
    nodes.pass(10 * times.parkAfter);
    await rounds();
    // Its entry in the registry is renewed by this, too.
    expect(member.node.sessions()[0]?.lastSeenAt).toBe(before + 10 * times.parkAfter);
    stream.cut();
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
    await nodes.park(member, client);
  });

  test("stays while a task goes on that its server started, or while it is pinned", async () => {
    const member = await nodes.start();
    const [working, pinned] = [await begin(member), await begin(member)];
    await textOf(working, "own", { on: true });
    await textOf(pinned, "pin");
    nodes.pass(10 * times.parkAfter);
    await rounds();
    expect(member.log.of("session-parked")).toEqual([]);
    await textOf(working, "own", { on: false });
    await nodes.park(member, working);
    expect(member.node.sessions()).toMatchObject([{ id: pinned.session, pinned: "holds a child process" }]);
  });

  test.each([
    ["where a session ends with its node", { policy: "reject" as const }],
    ["where that is off", { parkAfter: 0 }],
  ])("stays %s", async (_where, options) => {
    const member = await nodes.start("node-1", options);
    await begin(member);
    nodes.pass(10 * minute);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
  });

  test("stays where the registry is in the node's own memory", async () => {
    const alone = await nodes.startAlone();
    await begin(alone);
    nodes.pass(10 * minute);
    await rounds();
    expect(alone.node.sessions()).toHaveLength(1);
  });
});

describe("a session that can't be written", () => {
  test("stays, with its tasks, and leaves once it can", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    await textOf(client, "count");
    await eventually(() => expect(nodes.tasks).toHaveLength(1));
    member.registry.failure = "unavailable";
    nodes.pass(times.parkAfter);
    await eventually(() => expect(member.log.of("session-not-parked")).toHaveLength(1));
    await eventually(() => expect(nodes.tasks).toHaveLength(2));
    expect(nodes.tasks[1]).toMatchObject({ restored: true });
    expect(member.node.sessions()).toHaveLength(1);
    // Not tried again and again meanwhile.
    nodes.pass(times.parkAfter);
    await rounds();
    expect(member.log.of("session-not-parked")).toHaveLength(1);
    member.registry.failure = undefined;
    member.registry.tellReachable(true);
    await nodes.park(member, client);
    expect(await textOf(client, "count")).toBe("2");
  });

  test("stays while the registry may lack what it had", async () => {
    const member = await nodes.start();
    await begin(member);
    nodes.store.lose();
    await eventually(() => expect(member.log.of("registry-lost-entries")).toHaveLength(1));
    nodes.pass(10 * times.parkAfter);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
  });

  test("stays while the registry is away, without an attempt", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    member.registry.tellReachable(false);
    nodes.pass(10 * times.parkAfter);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
    member.registry.tellReachable(true);
    await nodes.park(member, client);
  });

  test("stays while its beginning waits to be written", async () => {
    const soon = { lease: 1_500, renew: 100 };
    const member = await nodes.start("node-1", soon);
    // A node that knows that it is alone begins sessions also while the registry is away.
    await new Promise((resolve) => setTimeout(resolve, soon.lease + 3 * soon.renew));
    member.registry.failsLeases = true;
    member.registry.failure = "unavailable";
    const client = await begin(member);
    member.registry.failure = undefined;
    nodes.pass(times.parkAfter);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
    member.registry.tellReachable(true);
    await nodes.park(member, client);
  });
});

describe("many idle sessions", () => {
  test("leave memory a few at a time, and hold no request up", async () => {
    const member = await nodes.start();
    const clients = await Promise.all(Array.from({ length: 40 }, () => begin(member)));
    const held = member.registry.hold();
    const before = member.registry.calls.length;
    nodes.pass(times.parkAfter);
    const begun = () => member.registry.calls.slice(before).filter((call) => call.startsWith("write"));
    await eventually(() => expect(begun().length).toBeGreaterThanOrEqual(4));
    await rounds();
    const writes = begun();
    expect(writes).toHaveLength(4);
    // Those whose turn has not come are served meanwhile.
    const waiting = clients.find(({ session }) => !writes.includes(`write ${session}`)) as RawClient;
    const answer = await waiting.startCall("own", { on: false });
    expect(answer.status).toBe(200);
    held.release();
    await eventually(() => expect(member.log.of("session-parked").length).toBeGreaterThanOrEqual(39));
  });
});
