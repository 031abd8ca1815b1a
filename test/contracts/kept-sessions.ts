import { describe, expect, test } from "vitest";
import type {
  Fence,
  LedgerEntry,
  LoggedEvent,
  Registry,
  SessionRecord,
  StoredSession,
} from "../../src/ports/registry.ts";
import { first, type MakeCluster, newSession, second } from "./new-session.ts";

function event(sequence: number, overrides: Partial<LoggedEvent> = {}): LoggedEvent {
  return { stream: "s", sequence, json: `{"n":${sequence}}`, at: Date.now(), ...overrides };
}

function entry(request: string, overrides: Partial<LedgerEntry> = {}): LedgerEntry {
  const call = { hash: "u8e7", stream: "c1", method: "tools/call", repeatable: false, at: 1_760_000_000_000 };
  return { request, params: '{"name":"append"}', ...call, ...overrides };
}

/** What outlives the node that holds a session: the promises of writes. */
export function keptSessionsContract(cluster: MakeCluster): void {
  async function claimed(overrides: Partial<SessionRecord> = {}): Promise<[Registry, SessionRecord]> {
    const [registry] = (await cluster(1)) as [Registry];
    const session = newSession(overrides);
    await registry.claim(session);
    return [registry, session];
  }

  /** All that is kept of a session, as its next owner gets it. */
  async function takeOver(
    registry: Registry,
    { id, epoch }: Pick<SessionRecord, "id" | "epoch">,
  ): Promise<StoredSession> {
    const outcome = await registry.handOver(id, epoch, { owner: second });
    if (outcome.kind !== "handed-over") throw new Error(`it was ${outcome.kind}`);
    return outcome.session;
  }

  describe("what is kept of a session", () => {
    test("what a hand-over gives is all that was kept", async () => {
      const [registry, session] = await claimed({
        principal: { issuer: "i", subject: "s" },
        journal: { initialize: '{"a":1}' },
      });
      const events = [event(1), event(2), event(1, { stream: "c3_2", json: '{"text":"Grüße ☂ \\u0000 a b"}' })];
      const ledger = [entry("1"), entry('"1"', { params: undefined, repeatable: true })];
      await registry.write(session.id, session, {
        state: { "a key": '{"d":["Grüße",1]}', ["__proto__"]: "1", "": "null" },
        events,
        carried: 1,
        begun: ledger,
        journal: { level: '{"level":"debug"}', subscriptions: ["x:1", "x:2"], lists: { tools: "a" } },
        pinned: "it holds a socket",
      });
      const stored = await takeOver(registry, session);
      expect(stored.record).toEqual({
        ...session,
        owner: second,
        epoch: 2,
        journal: {
          ...{ initialize: '{"a":1}', level: '{"level":"debug"}', subscriptions: ["x:1", "x:2"] },
          lists: { tools: "a" },
        },
        pinned: "it holds a socket",
      });
      expect(stored.state).toEqual({ "a key": '{"d":["Grüße",1]}', ["__proto__"]: "1", "": "null" });
      expect(stored.events).toEqual(events);
      expect(stored.sequence).toBe(2);
      expect(stored.carried).toBe(1);
      expect(stored.ledger.toSorted((a, b) => (a.request < b.request ? 1 : -1))).toEqual(ledger);
      expect(await registry.find(session.id)).toEqual(stored.record);
    });

    test("of a session that nothing was written of, a hand-over gives the record alone", async () => {
      const [registry, session] = await claimed();
      const record = { ...session, owner: second, epoch: 2 };
      const nothing = { state: {}, events: [], sequence: 0, carried: 0, ledger: [] };
      expect(await takeOver(registry, session)).toEqual({ record, ...nothing });
    });

    test("what changes later takes the place of what was there, key by key and call by call", async () => {
      const [registry, session] = await claimed({ journal: { initialize: "{}", subscriptions: ["a"] } });
      await registry.write(session.id, session, { state: { a: "1", b: "1", c: "1" }, begun: [entry("1"), entry("2")] });
      await registry.write(session.id, session, {
        state: { a: "2", b: undefined },
        ended: ["1", "never"],
        journal: { subscriptions: [] },
      });
      await registry.write(session.id, session, { journal: { lists: { tools: "a", prompts: "b" } } });
      await registry.write(session.id, session, { journal: { lists: { tools: "c", prompts: "b" } } });
      // One id for every call, as some clients have it: the one that ended goes, the one that began stays.
      await registry.write(session.id, session, { begun: [entry("2", { hash: "later" })], ended: ["2"] });
      const stored = await takeOver(registry, session);
      expect(stored.state).toEqual({ a: "2", c: "1" });
      expect(stored.ledger).toEqual([entry("2", { hash: "later" })]);
      const lists = { tools: "c", prompts: "b" };
      expect(stored.record.journal).toEqual({ initialize: "{}", subscriptions: [], lists });
    });

    test("an owner of an older epoch can write nothing, and is told who the owner is", async () => {
      const [registry, session] = await claimed();
      await registry.write(session.id, session, { state: { a: "kept" } });
      await takeOver(registry, session);
      const fenced = { kind: "fenced", by: { owner: second, epoch: 2 } };
      const everything = {
        state: { a: "stale", b: "stale" },
        events: [event(1)],
        carried: 1,
        begun: [entry("1")],
        journal: { initialize: "stale" },
        pinned: "stale",
      };
      const strangers: Fence[] = [
        session,
        { owner: first, epoch: 2 },
        { owner: second, epoch: 1 },
        { owner: second, epoch: 3 },
        { owner: { ...second, incarnation: "another" }, epoch: 2 },
        { owner: { ...second, tag: "w3tz5c" }, epoch: 2 },
      ];
      for (const fence of strangers) expect(await registry.write(session.id, fence, everything)).toEqual(fenced);
      const written = await registry.write(session.id, { owner: second, epoch: 2 }, { state: { b: "new" } });
      expect(written).toEqual({ kind: "written" });
      const stored = await takeOver(registry, { ...session, epoch: 2 });
      expect(stored).toMatchObject({ state: { a: "kept", b: "new" }, events: [], carried: 0, ledger: [] });
      expect(stored.record).toEqual({ ...session, owner: second, epoch: 3 });
    });

    test("what comes after a later write of the same owner and epoch changes nothing: a write is told, a claim is done", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const session = newSession({ journal: { initialize: "{}" } });
      expect(await one.claim(session, 1)).toEqual({ kind: "claimed" });
      const written = await one.write(session.id, session, { state: { count: "2" }, journal: { level: "{}" } }, 7);
      expect(written).toEqual({ kind: "written" });
      // As on the dead connection that the one above went past.
      const stale = { state: { count: "1", old: "1" }, events: [event(1)], begun: [entry("1")], pinned: "stale" };
      expect(await other.write(session.id, session, stale, 6)).toEqual({ kind: "late" });
      expect(await other.claim({ ...session, client: "stale" }, 5)).toEqual({ kind: "claimed" });
      const journal = { initialize: "{}", level: "{}" };
      expect(await one.find(session.id)).toEqual({ ...session, journal });
      // A claim has its place among the writes too, and so has what was lost and is claimed anew.
      expect(await one.claim({ ...session, client: "newer" }, 12)).toEqual({ kind: "claimed" });
      expect(await other.write(session.id, session, stale, 11)).toEqual({ kind: "late" });
      expect(await other.write(session.id, session, { state: { last: "1" } }, 13)).toEqual({ kind: "written" });
      const stored = await takeOver(one, session);
      expect(stored).toMatchObject({ state: { count: "2", last: "1" }, events: [], ledger: [] });
      expect(stored.record).toEqual({ ...session, client: "newer", owner: second, epoch: 2 });
    });

    test("the numbers of writes begin anew with each owner", async () => {
      const [registry, session] = await claimed();
      const claim = { ...session, owner: second, epoch: 5 };
      await registry.write(session.id, session, { state: { a: "1" } }, 900);
      const { record } = await takeOver(registry, session);
      expect(await registry.write(session.id, record, { state: { a: "2" } }, 1)).toEqual({ kind: "written" });
      await registry.write(session.id, record, { state: { a: "3" } }, 900);
      expect(await registry.claim(claim, 1)).toEqual({ kind: "claimed" });
      expect(await registry.write(session.id, claim, { state: { a: "4" } }, 2)).toEqual({ kind: "written" });
      expect(await takeOver(registry, claim)).toMatchObject({ state: { a: "4" } });
    });

    test("a write never creates a session", async () => {
      const [registry, closed] = await claimed();
      await registry.close(closed.id);
      const never = newSession();
      for (const session of [closed, never]) {
        const outcome = await registry.write(session.id, session, { state: { a: "1" }, events: [event(1)] });
        expect(outcome).toEqual({ kind: "missing" });
        expect(await registry.find(session.id)).toBeUndefined();
      }
      // Nor is anything left that a session of this id would find.
      await registry.claim(never);
      expect(await takeOver(registry, never)).toMatchObject({ state: {}, events: [] });
    });

    test("state, events and ledger of one write are there together or not at all, whoever takes over when", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      for (let round = 0; round < 10; round += 1) {
        const session = newSession();
        await one.claim(session);
        const writes = Array.from({ length: 20 }, async (_, index) => {
          const number = String(index + 1);
          const begun = [entry(number)];
          return await one.write(session.id, session, { state: { number }, events: [event(index + 1)], begun });
        });
        const [outcomes, stored] = await Promise.all([Promise.all(writes), takeOver(other, session)]);
        const written = outcomes.filter(({ kind }) => kind === "written").length;
        expect(outcomes.slice(written).every(({ kind }) => kind === "fenced")).toBe(true);
        expect(stored.sequence).toBe(written);
        expect(stored.events.map(({ sequence }) => sequence)).toEqual(Array.from({ length: written }, (_, n) => n + 1));
        expect(stored.ledger).toHaveLength(written);
        expect(stored.state).toEqual(written === 0 ? {} : { number: String(written) });
      }
    });

    test("thousands of keys, events and calls in one write are written whole", async () => {
      const [registry, session] = await claimed();
      const numbers = Array.from({ length: 9_000 }, (_, index) => index + 1);
      const state = Object.fromEntries(numbers.map((number) => [`k${number}`, String(number)]));
      const begun = numbers.map((number) => entry(String(number), { params: undefined }));
      await registry.write(session.id, session, { state, begun, events: numbers.map((number) => event(number)) });
      await registry.write(session.id, session, { ended: begun.slice(1).map(({ request }) => request) });
      const stored = await takeOver(registry, session);
      expect(stored.state).toEqual(state);
      expect(stored.ledger.map(({ request }) => request)).toEqual(["1"]);
      expect(stored.events.map(({ sequence }) => sequence)).toEqual(numbers.slice(-1_000));
      expect(stored.sequence).toBe(9_000);
    });
  });

  describe("the log of events", () => {
    test("is bounded in count: the newest thousand are kept, over many writes", async () => {
      const [registry, session] = await claimed();
      for (let batch = 0; batch < 24; batch += 1) {
        const events = Array.from({ length: 50 }, (_, index) => event(batch * 50 + index + 1));
        await registry.write(session.id, session, { events });
      }
      const { events, sequence } = await takeOver(registry, session);
      expect(events.map((kept) => kept.sequence)).toEqual(Array.from({ length: 1_000 }, (_, index) => 201 + index));
      expect(sequence).toBe(1_200);
    });

    test("is bounded in bytes: the newest mebibyte is kept, and what is larger by itself is not", async () => {
      const [registry, session] = await claimed();
      const json = JSON.stringify("ü".repeat(50_000));
      for (let number = 1; number <= 30; number += 1) {
        await registry.write(session.id, session, { events: [event(number, { json })] });
      }
      const { events, record } = await takeOver(registry, session);
      expect(events.map(({ sequence }) => sequence)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
      const huge = event(31, { json: JSON.stringify("x".repeat(1024 * 1024)) });
      await registry.write(session.id, record, { events: [huge] });
      const later = await takeOver(registry, record);
      expect(later.events).toEqual([]);
      expect(later.sequence).toBe(31);
      await registry.write(session.id, later.record, { events: [event(32)] });
      expect((await takeOver(registry, later.record)).events).toMatchObject([{ sequence: 32 }]);
    });

    test("is bounded in age: from its beginning on, what is older than five minutes goes with the next write", async () => {
      const [registry, session] = await claimed();
      const ago = (minutes: number) => ({ at: Date.now() - minutes * 60_000 });
      const events = [event(1, ago(7)), event(2, ago(5.1)), event(3, ago(4.5)), event(4, ago(6)), event(5)];
      for (const each of events) await registry.write(session.id, session, { events: [each] });
      expect((await takeOver(registry, session)).events).toEqual(events.slice(2));
    });

    test("has each event once, although it was written again because an answer got lost", async () => {
      const [registry, session] = await claimed();
      const events = [event(1), event(2), event(1, { stream: "c7" })];
      await registry.write(session.id, session, { events });
      await registry.write(session.id, session, { events: [...events, event(3)] });
      expect((await takeOver(registry, session)).events).toEqual([...events, event(3, { at: expect.any(Number) })]);
    });

    test("has the events of each stream in their order, although a newer one was there before older ones came again", async () => {
      const [registry, session] = await claimed();
      const [a1, a2, a3, b1] = [event(1), event(2), event(3), event(1, { stream: "c7" })];
      await registry.write(session.id, session, { events: [a3] });
      await registry.write(session.id, session, { events: [a1, a2, b1, a3] });
      expect((await takeOver(registry, session)).events).toEqual([a1, a2, a3, b1]);
    });

    test("knows the number of the newest event of the standalone stream, also of those that are gone", async () => {
      const [registry, session] = await claimed();
      await registry.write(session.id, session, { events: [event(1), event(2), event(9, { stream: "c4" })] });
      await registry.write(session.id, session, { events: [event(10, { stream: "c4" })] });
      expect(await takeOver(registry, session)).toMatchObject({ sequence: 2, carried: 0 });
      // An owner that writes its session again may have no event left, and still knows what was carried.
      await registry.write(session.id, { owner: second, epoch: 2 }, { carried: 17 });
      const stored = await takeOver(registry, { ...session, epoch: 2 });
      expect(stored).toMatchObject({ sequence: 17, carried: 17 });
    });
  });
}
