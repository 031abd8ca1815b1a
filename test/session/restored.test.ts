import { afterEach, describe, expect, test } from "vitest";
import { defineServer } from "../../src/session/define-server.ts";
import { Session } from "../../src/session/session.ts";
import { collectGarbage } from "../support/collect-garbage.ts";
import { eventually } from "../support/eventually.ts";
import type { FakeSink } from "./fake-sink.ts";
import { FakeStore } from "./fake-store.ts";
import { idsOf, initialize, KeptSession, lastIdOf, messagesOf, type Sdk, Stage, textOf } from "./kept-session.ts";

const open: KeptSession[] = [];

afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function begin(sdk: Sdk): Promise<KeptSession> {
  const kept = await KeptSession.open(sdk);
  open.push(kept);
  return kept;
}

/** The session's node dies, and another one takes it over. */
async function adopt(sdk: Sdk, former: KeptSession, stored = former.store.stored): Promise<KeptSession> {
  await former.crash();
  const kept = await KeptSession.restore(sdk, stored, former.stage);
  open.push(kept);
  return kept;
}

const numbers = (sink: FakeSink) =>
  messagesOf(sink).flatMap(({ params }) => (params?.data as { n?: number } | undefined)?.n ?? []);

describe.each(["v1", "v2"] as const)("a %s session whose node died", (sdk) => {
  test("goes on where it was: state, epoch, revision, and what its client had said", async () => {
    const former = await begin(sdk);
    await former.callText("count");
    await former.callText("push");
    await former.ended(former.request("logging/setLevel", { level: "warning" }));
    for (const uri of ["a:1", "a:2"]) await former.ended(former.request("resources/subscribe", { uri }));
    await former.ended(former.request("resources/unsubscribe", { uri: "a:1" }));
    former.stage.heard.length = 0;
    const kept = await adopt(sdk, former);
    expect(former.stage.heard).toEqual(["initialized by raw", "level warning", "subscribe a:2"]);
    expect(kept.session).toMatchObject({ epoch: 2, client: "raw/1", createdAt: 0 });
    expect(kept.session.transport.protocolVersion).toBe("2025-11-25");
    expect(await kept.callText("count", 50)).toBe("2");
    expect(await kept.callText("push", 51)).toBe("2");
    expect(former.stage.contexts.map(({ epoch }) => epoch)).toEqual([1, 2]);
  });

  test("does not hear twice that its client is initialized", async () => {
    const kept = await adopt(sdk, await begin(sdk));
    kept.stage.heard.length = 0;
    kept.post({ jsonrpc: "2.0", method: "notifications/initialized" });
    await kept.callText("echo");
    expect(kept.stage.heard).toEqual([]);
  });

  test("goes on with its standalone stream, from wherever its client was", async () => {
    const former = await begin(sdk);
    const stream = former.listen();
    for (const n of [1, 2, 3]) await former.stage.announce[0]?.(n);
    await eventually(() => expect(numbers(stream)).toEqual([1, 2, 3]));
    const kept = await adopt(sdk, former);
    await kept.stage.announce[1]?.(4);
    const resumed = kept.listen("s-1");
    await eventually(() => expect(numbers(resumed)).toEqual([2, 3, 4]));
    expect(idsOf(resumed)).toEqual(["s-1", "s-2", "s-3", "s-4"]);
    expect(kept.listen("s-9")).toMatchObject({ status: 400 });
  });

  test("takes no late answer to its former self for one to itself", async () => {
    const former = await begin(sdk);
    const stream = former.listen();
    former.call("ask");
    // v2 asks on the calling stream.
    const asked = await eventually(() => {
      const found = [...former.session.transport.ring.of("s"), ...former.session.transport.ring.of("c2")].find(
        ({ json }) => json.includes("sampling"),
      );
      if (found === undefined) throw new Error("Nothing was asked");
      return JSON.parse(found.json) as { id: number };
    });
    expect(asked.id).toBe(0);
    expect(stream.ended).toBe(false);
    const kept = await adopt(sdk, former);
    const again = kept.listen();
    const call = kept.call("ask", 70);
    const question = await eventually(() => {
      const found = [...messagesOf(again), ...messagesOf(call)].find(
        ({ method, id }) => method === "sampling/createMessage" && id !== 0,
      );
      if (found === undefined) throw new Error("Nothing was asked");
      return found;
    });
    expect(question.id).toBe("m2:0");
    const reply = (id: number | string, text: string) =>
      ({ jsonrpc: "2.0", id, result: { role: "assistant", model: "m", content: { type: "text", text } } }) as const;
    for (const id of [0, "0", "m1:0", "m3:0", "m2:7"]) kept.post(reply(id, "late"));
    kept.post(reply("m2:0", "right"));
    expect(textOf(await kept.ended(call))).toBe("asked");
    expect(kept.stage.answers.join()).toContain("right");
    expect(kept.stage.answers.join()).not.toContain("late");
  });
});

test("a session notes a bounded length of subscriptions, the newest, and none that is longer by itself", async () => {
  const kept = await begin("v2");
  const uri = (name: string, length: number) => `${name}:${"x".repeat(length)}`;
  const uris = [uri("a", 600_000), uri("b", 600_000), uri("c", 400_000), uri("d", 2_000_000)];
  for (const each of uris) await kept.ended(kept.request("resources/subscribe", { uri: each }));
  const { journal } = kept.session.transport;
  expect(journal?.subscriptions).toEqual(uris.slice(1, 3));
  expect(kept.store.stored.record.journal?.subscriptions).toEqual(journal?.subscriptions);
});

describe("whatever moment a node dies in", () => {
  test("nothing is lost that a client has seen, no count goes back, no number comes twice", async () => {
    const former = await begin("v2");
    const stream = former.listen();
    const counts: FakeSink[] = [];
    const visible = () => ({
      counted: counts.filter(({ ended }) => ended).length,
      pushed: pushes.filter(({ ended }) => ended).length,
      announced: numbers(stream).length,
    });
    const pushes: FakeSink[] = [];
    /** What a client had seen when only this many writes had taken effect. */
    const seen: ReturnType<typeof visible>[] = [];
    former.store.beforeBoundary = () => seen.push(visible());
    for (let n = 1; n <= 12; n += 1) {
      counts.push(former.call("count"));
      void former.stage.announce[0]?.(n);
      if (n % 3 === 0) pushes.push(former.call("push"));
      if (n % 2 === 0) await former.ended(counts.at(-1) as FakeSink);
    }
    for (const sink of [...counts, ...pushes]) await former.ended(sink);
    await eventually(() => expect(numbers(stream)).toHaveLength(12));
    seen.push(visible());
    const { boundaries } = former.store;
    expect(boundaries.length).toBeGreaterThan(6);
    expect(seen).toHaveLength(boundaries.length);
    for (const [index, stored] of boundaries.entries()) {
      const { counted, pushed, announced } = seen[index] as ReturnType<typeof visible>;
      const kept = await KeptSession.restore("v2", stored, new Stage());
      open.push(kept);
      expect(Number(await kept.callText("count", 900))).toBeGreaterThan(counted);
      expect(Number(await kept.callText("push", 901))).toBeGreaterThan(pushed);
      expect(stored.sequence).toBeGreaterThanOrEqual(announced);
      const resumed = kept.listen("s-0");
      await kept.stage.announce[0]?.(99);
      await eventually(() => expect(numbers(resumed).at(-1)).toBe(99));
      expect(numbers(resumed).slice(0, -1)).toEqual(Array.from({ length: stored.sequence }, (_, number) => number + 1));
      const ids = idsOf(resumed).map((id) => Number(id.slice(2)));
      expect(ids).toEqual(Array.from({ length: stored.sequence + 2 }, (_, number) => number));
    }
  });
});

describe("a session that can't be restored", () => {
  const stored = FakeStore.handedOver(FakeStore.new(JSON.stringify(initialize)).stored);
  const store = new FakeStore(stored);

  test("because its server's own code throws, rejects with that, and leaves nothing behind", async () => {
    const kept = await begin("v2");
    let signal: AbortSignal | undefined;
    const definition = defineServer(({ session }) => {
      signal = session.signal;
      throw new Error("not today");
    });
    await expect(Session.restore({ ...kept.host, definition }, stored, { store })).rejects.toThrow("not today");
    expect(signal?.aborted).toBe(true);
  });

  test("because its server refuses the client, rejects", async () => {
    const kept = await begin("v2");
    const record = { ...stored.record, journal: { initialize: JSON.stringify({ ...initialize, params: {} }) } };
    await expect(Session.restore(kept.host, { ...stored, record }, { store })).rejects.toThrow(/refused.*initialize/);
  });

  test("because nothing is kept of its beginning, rejects", async () => {
    const kept = await begin("v2");
    const { journal: _, ...record } = stored.record;
    await expect(Session.restore(kept.host, { ...stored, record }, { store })).rejects.toThrow(/nothing is kept/);
  });
});

describe("a session of which the registry has lost everything", () => {
  test("is written again as a whole", async () => {
    const former = await begin("v2");
    await former.callText("count");
    await former.ended(former.request("logging/setLevel", { level: "warning" }));
    await former.ended(former.request("resources/subscribe", { uri: "a:1" }));
    const look = former.call("look", "look");
    await eventually(() => expect(former.store.stored.ledger).toHaveLength(1));
    const stream = former.listen();
    for (const n of [1, 2]) await former.stage.announce[0]?.(n);
    await eventually(() => expect(numbers(stream)).toEqual([1, 2]));
    former.stage.contexts[0]?.pin("for a reason");
    await eventually(() => expect(former.store.stored.record.pinned).toBe("for a reason"));
    const before = former.store.stored;
    former.store.boundaries.push(FakeStore.new(JSON.stringify(initialize)).stored);
    former.session.unkept();
    await eventually(() => expect(former.store.stored).toEqual({ ...before, carried: 2 }));
    await former.stage.end();
    await former.ended(look);
  });
});

test("a session that the registry lost while a write was on its way, which failed, is kept whole and in order", async () => {
  const former = await begin("v2");
  await former.callText("count");
  await former.ended(former.request("logging/setLevel", { level: "warning" }));
  const stream = former.listen();
  await former.stage.announce[0]?.(1);
  await eventually(() => expect(numbers(stream)).toEqual([1]));
  former.store.answers = undefined;
  const look = former.call("look", "look");
  await former.stage.announce[0]?.(2);
  const onItsWay = await former.store.next();
  former.store.boundaries.push(FakeStore.new(JSON.stringify(initialize)).stored);
  former.session.unkept();
  // Also what is written meanwhile fails: nothing hangs.
  former.store.answers = "unavailable";
  onItsWay.end("unavailable");
  await eventually(() => expect(numbers(stream)).toEqual([1, 2]));
  former.store.back();
  await eventually(() => expect(former.store.stored).toMatchObject({ sequence: 2, carried: 2 }));
  const { state, events, ledger, record } = former.store.stored;
  expect(state).toEqual({ count: '{"d":1}' });
  expect(events.filter(({ stream: name }) => name === "s").map(({ sequence }) => sequence)).toEqual([1, 2]);
  expect(ledger.map(({ request }) => request)).toEqual(['"look"']);
  expect(record.journal?.level).toBe('{"level":"warning"}');
  await former.stage.end();
  await former.ended(look);
});

describe("a snapshot", () => {
  test("has all that is kept, also what is unwritten", async () => {
    const former = await begin("v2");
    await former.callText("count");
    await former.ended(former.request("logging/setLevel", { level: "warning" }));
    const look = former.call("look", "look");
    await eventually(() => expect(former.store.stored.ledger).toHaveLength(1));
    const stream = former.listen();
    await former.stage.announce[0]?.(1);
    await eventually(() => expect(numbers(stream)).toEqual([1]));
    former.store.answers = "unavailable";
    await former.callText("push");
    const emptied = FakeStore.new(JSON.stringify(initialize));
    await emptied.write(former.session.snapshot());
    expect(emptied.stored).toMatchObject({
      state: { count: '{"d":1}', list: '{"d":[0]}' },
      sequence: 1,
      carried: 1,
      events: [{ stream: "s", sequence: 1 }],
      ledger: [{ request: '"look"', repeatable: true }],
      record: { journal: { level: '{"level":"warning"}', subscriptions: [] } },
    });
    await former.stage.end();
    await former.ended(look);
    expect(lastIdOf(stream)).toBe("s-1");
  });
});

test("a session that was restored holds what it was restored from only once", async () => {
  const former = await begin("v2");
  await former.callText("count");
  await former.crash();
  const { stored } = former.store;
  const restore = async () => {
    const read = structuredClone(stored);
    const session = await Session.restore(former.host, read, { store: new FakeStore(stored) });
    return { session, held: new WeakRef(read) };
  };
  const { session, held } = await restore();
  await eventually(() => {
    collectGarbage();
    expect(held.deref()).toBeUndefined();
  });
  await session.close();
});
