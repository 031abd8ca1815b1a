import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { begin, type ParkingNode, ParkingNodes, rounds, textOf, times } from "./parking-nodes.ts";

let nodes: ParkingNodes;

beforeEach(() => {
  nodes = new ParkingNodes();
});

afterEach(() => nodes.stop());

describe("a parked session is found at once", () => {
  test("by many requests in one moment, for which it is restored once", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    await nodes.park(member, client);
    const texts = await Promise.all(Array.from({ length: 20 }, () => textOf(client, "count")));
    expect(texts.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(nodes.epochOf(client)).toBe(2);
  });

  test("by a request that may wait for nothing else, and by those that come meanwhile", async () => {
    const member = await nodes.start("node-1", { hold: 0 });
    const client = await begin(member);
    await nodes.park(member, client);
    setTimeout(nodes.gate.hold().release, 100);
    const texts = await Promise.all([textOf(client, "count"), textOf(client, "count")]);
    expect(texts.toSorted()).toEqual(["1", "2"]);
  });

  test("by a request that comes while it leaves, which waits for that", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    await textOf(client, "count");
    const held = member.registry.hold();
    nodes.pass(times.parkAfter);
    await eventually(() => expect(member.registry.calls).toContain(`write ${client.session}`));
    const writes = member.registry.calls.length;
    await eventually(() => expect(nodes.tasks[0]?.signal.aborted).toBe(true));
    const answers = Promise.all([textOf(client, "count"), textOf(client, "count")]);
    await rounds();
    expect(member.registry.calls.slice(writes).filter((call) => call.startsWith("hand over"))).toEqual([]);
    held.release();
    expect((await answers).sort()).toEqual(["2", "3"]);
    expect(member.log.of("session-parked")).toHaveLength(1);
  });

  test("by a close that comes while it leaves, after which nothing of it goes on", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    const held = member.registry.hold();
    nodes.pass(times.parkAfter);
    await eventually(() => expect(member.registry.calls).toContain(`write ${client.session}`));
    const closed = member.node.close(client.session);
    held.release();
    expect(await closed).toBe(true);
    await rounds();
    expect(member.log.of("session-parked")).toEqual([]);
    expect(member.log.of("session-closed")).toMatchObject([{ ending: "closed" }]);
    expect(nodes.tasks.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(await member.node.hasSession(client.session)).toBe(false);
  });

  test.each(["this", "another"])(
    "by a close at %s node that comes while it comes back, and it is gone then",
    async (at) => {
      const members = [await nodes.start(), await nodes.start("node-2")] as const;
      const client = await begin(members[0]);
      await nodes.park(members[0], client);
      const restoring = nodes.gate.hold();
      const calling = client.call("count");
      await eventually(() => expect(nodes.epochOf(client)).toBe(2));
      expect(await (at === "this" ? members[0] : members[1]).node.close(client.session)).toBe(true);
      restoring.release();
      expect((await calling)?.error?.data).toMatchObject({ reason: "closed" });
      expect(members[0].node.sessions()).toEqual([]);
      expect(nodes.tasks.map(({ signal }) => signal.aborted)).not.toContain(false);
    },
  );

  test("by a client that asks for the rest of its stream", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    const stream = await client.listen();
    for (const n of [1, 2]) await textOf(client, "announce", { n });
    await stream.received(2);
    expect(stream.lastEventId).toBe("s-2");
    stream.cut();
    await rounds();
    await nodes.park(member, client);
    const rest = await client.listen("s-1");
    expect((await rest.received(1))[0]).toMatchObject({ params: { data: { n: 2 } } });
    rest.cut();
  });

  test("by hasSession, which does not bring it back", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    await nodes.park(member, client);
    expect(await member.node.hasSession(client.session)).toBe(true);
    expect(nodes.epochOf(client)).toBe(1);
    const other = await nodes.start("node-2");
    expect(await other.node.hasSession(client.session)).toBe(false);
    expect(other.log.of("misrouted")).toMatchObject([{ session: client.session, owner: member.node.tag }]);
    nodes.store.lose();
    expect(await member.node.hasSession(client.session)).toBe(false);
  });

  test("by its own client only", async () => {
    const member = await nodes.start();
    const client = await begin(member, { headers: { "x-user": "alice" } });
    await nodes.park(member, client);
    const thief = await begin(member, { headers: { "x-user": "bob" } });
    const headers = { "mcp-session-id": client.session };
    const answer = await (await thief.post({ jsonrpc: "2.0", id: 1, method: "ping" }, headers)).ended();
    expect(answer.status).toBe(404);
    expect(answer.message).toMatchObject({ error: { data: { reason: "unknown" } } });
    expect(nodes.epochOf(client)).toBe(1);
    expect(await textOf(client, "count")).toBe("1");
  });

  test("by a close, which need not bring it back first", async () => {
    const member = await nodes.start();
    const [one, two] = [await begin(member), await begin(member)];
    await nodes.park(member, one, two);
    expect((await one.delete()).status).toBe(200);
    expect(await member.node.close(two.session)).toBe(true);
    expect(nodes.contexts).toHaveLength(2);
    for (const client of [one, two]) {
      expect(nodes.epochOf(client)).toBeUndefined();
      const answer = await (await client.startCall("count")).ended();
      expect(answer.message).toMatchObject({ id: null, error: { data: { reason: "closed" } } });
    }
  });
});

describe("a parked session of which another node gets a request", () => {
  async function pair(): Promise<[ParkingNode, ParkingNode]> {
    const [one, two] = [await nodes.start("node-1"), await nodes.start("node-2")];
    await eventually(async () => expect(await two.node.nodes()).toHaveLength(2));
    return [one, two];
  }

  test("comes back on its owner, whichever its home is", async () => {
    const [one, two] = await pair();
    const client = await begin(one);
    await nodes.park(one, client);
    expect(await textOf(client.at(two.url), "count")).toBe("1");
    expect(one.node.sessions()).toHaveLength(1);
    expect(two.node.sessions()).toEqual([]);
    expect(nodes.epochOf(client)).toBe(2);
  });

  test("is closed there, without coming back", async () => {
    const [one, two] = await pair();
    const client = await begin(one);
    await nodes.park(one, client);
    expect((await client.at(two.url).delete()).status).toBe(200);
    expect(nodes.contexts).toHaveLength(1);
    expect(nodes.epochOf(client)).toBeUndefined();
    const answer = await (await client.startCall("count")).ended();
    expect(answer.message).toMatchObject({ error: { data: { reason: "closed" } } });
  });

  test("is nobody else's there either", async () => {
    const [one, two] = await pair();
    const client = await begin(one, { headers: { "x-user": "alice" } });
    await nodes.park(one, client);
    const headers = { "mcp-session-id": client.session, "x-user": "bob" };
    const bob = await begin(two, { headers: { "x-user": "bob" } });
    const answer = await (await bob.post({ jsonrpc: "2.0", id: 1, method: "ping" }, headers)).ended();
    expect(answer.message).toMatchObject({ error: { data: { reason: "unknown" } } });
    expect(nodes.epochOf(client)).toBe(1);
  });

  test("is adopted there when its owner is gone", async () => {
    const [one, two] = await pair();
    const client = await begin(one);
    await textOf(client, "count");
    await nodes.park(one, client);
    await one.stop();
    expect(await textOf(client.at(two.url), "count")).toBe("2");
    expect(two.log.of("session-adopted")).toMatchObject([{ session: client.session }]);
  });

  test("is left alone by the node that had parked it once another one has adopted it", async () => {
    const [one, two] = [await nodes.start("node-1", { relay: "off" }), await nodes.start("node-2", { relay: "off" })];
    const client = await begin(one);
    await nodes.park(one, client);
    const { epoch } = nodes.store.find(client.session, Date.now()) as { epoch: number };
    // As when its owner could not be reached for a moment.
    const record = nodes.store.handOver(
      client.session,
      epoch,
      { owner: { tag: two.node.tag, incarnation: two.node.incarnation } },
      Date.now(),
    );
    expect(record.kind).toBe("handed-over");
    nodes.pass(times.sessionIdle);
    await rounds();
    expect(nodes.epochOf(client)).toBe(2);
    expect(one.log.of("session-closed")).toEqual([]);
  });
});
