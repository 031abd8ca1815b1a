import { describe, expect, test } from "vitest";
import type { Registry } from "../../src/ports/registry.ts";
import { first, type MakeCluster, newSession, second } from "./new-session.ts";

const third = { tag: "w3tz5c", incarnation: "third" };

/** Who owns a session: the promises of claims, hand-overs and closes, and of the generation. */
export function ownershipContract(cluster: MakeCluster, lose: () => Promise<void>): void {
  describe("owners", () => {
    test("a claim that is written again changes nothing, and leaves what is kept of the session", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession({ pinned: "a socket" });
      expect(await registry.claim(session)).toEqual({ kind: "claimed" });
      await registry.write(session.id, session, { state: { count: "1" } });
      expect(await registry.claim(session)).toEqual({ kind: "claimed" });
      expect(await registry.find(session.id)).toEqual(session);
      const taken = await registry.handOver(session.id, 1, { owner: second });
      expect(taken).toMatchObject({ session: { state: { count: "1" } } });
    });

    test("the same owner's claim brings its record up to date, also by what it no longer has", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession({
        peer: "http://10.0.0.1:1",
        journal: { initialize: "{}", level: "{}", subscriptions: ["a"], lists: { tools: "a" } },
        pinned: "x",
        format: 2,
      });
      await registry.claim(session);
      const later = {
        ...session,
        peer: undefined,
        pinned: undefined,
        format: undefined,
        journal: { initialize: "{}" },
      };
      expect(await registry.claim(later)).toEqual({ kind: "claimed" });
      expect(await registry.find(session.id)).toEqual(later);
    });

    test("a claim never takes a session from an owner of this epoch or a later one, and is told who that is", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession({ epoch: 2 });
      await registry.claim(session);
      const fenced = { kind: "fenced", by: { owner: first, epoch: 2 } };
      expect(await registry.claim({ ...session, owner: second })).toEqual(fenced);
      expect(await registry.claim({ ...session, owner: { ...first, incarnation: "another" } })).toEqual(fenced);
      expect(await registry.claim({ ...session, owner: second, epoch: 1 })).toEqual(fenced);
      expect(await registry.claim({ ...session, epoch: 1 })).toEqual(fenced);
      expect(await registry.find(session.id)).toEqual(session);
    });

    test("a claim of a later epoch takes the place of all that an older owner wrote", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const older = newSession({ pinned: "a socket" });
      await registry.claim(older);
      await registry.write(older.id, older, {
        state: { stale: "1" },
        events: [{ stream: "s", sequence: 9, json: "{}", at: Date.now() }],
        carried: 9,
        begun: [{ request: "1", hash: "h", stream: "c1", method: "tools/call", repeatable: false, at: 1 }],
      });
      const newer = { ...older, owner: second, epoch: 3, pinned: undefined };
      expect(await registry.claim(newer)).toEqual({ kind: "claimed" });
      const taken = await registry.handOver(older.id, 3, { owner: third });
      expect(taken).toMatchObject({ session: { state: {}, events: [], sequence: 0, carried: 0, ledger: [] } });
      expect(await registry.find(older.id)).toEqual({ ...newer, owner: third, epoch: 4 });
    });

    test("of two nodes that take over one session at the same epoch, one gets it", async () => {
      const registries = (await cluster(3)) as [Registry, Registry, Registry];
      for (let round = 0; round < 20; round += 1) {
        const session = newSession();
        await registries[0].claim(session);
        const outcomes = await Promise.all([
          registries[1].handOver(session.id, 1, { owner: second, peer: "http://10.0.0.2:1" }),
          registries[2].handOver(session.id, 1, { owner: third }),
        ]);
        const winner = outcomes.findIndex(({ kind }) => kind === "handed-over");
        const owner = winner === 0 ? second : third;
        expect(outcomes[1 - winner]).toEqual({ kind: "fenced", by: { owner, epoch: 2 } });
        const record = { ...session, owner, epoch: 2, peer: winner === 0 ? "http://10.0.0.2:1" : undefined };
        expect(outcomes[winner]).toMatchObject({ session: { record } });
        expect(await registries[0].find(session.id)).toEqual(record);
      }
    });

    test("nobody takes over what is of another epoch, or not there", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession({ epoch: 4 });
      await registry.claim(session);
      for (const epoch of [3, 5]) {
        const outcome = await registry.handOver(session.id, epoch, { owner: second });
        expect(outcome).toEqual({ kind: "fenced", by: { owner: first, epoch: 4 } });
      }
      const absent = newSession();
      expect(await registry.handOver(absent.id, 1, { owner: second })).toEqual({ kind: "missing" });
      expect(await registry.find(absent.id)).toBeUndefined();
    });

    test("nobody takes over what is kept in a format that it doesn't read, and then nothing changes", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession({ format: 3, peer: "http://10.0.0.1:1" });
      await registry.claim(session);
      await registry.write(session.id, session, { state: { count: "1" } });
      for (const reads of [undefined, { oldest: 1, newest: 2 }, { oldest: 4, newest: 5 }]) {
        const outcome = await registry.handOver(session.id, 1, { owner: second, reads });
        expect(outcome).toEqual({ kind: "unreadable", format: 3 });
        expect(await registry.find(session.id)).toEqual(session);
      }
      // Whose it is comes first: only who may have it is told that it can't.
      const late = await registry.handOver(session.id, 2, { owner: second });
      expect(late).toEqual({ kind: "fenced", by: { owner: first, epoch: 1 } });
      const taken = await registry.handOver(session.id, 1, { owner: second, reads: { oldest: 2, newest: 3 } });
      expect(taken).toMatchObject({ session: { record: { epoch: 2, format: 3 }, state: { count: "1" } } });
    });

    test("what says no format is of the first", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession();
      await registry.claim(session);
      const outcome = await registry.handOver(session.id, 1, { owner: second, reads: { oldest: 2, newest: 3 } });
      expect(outcome).toEqual({ kind: "unreadable", format: 1 });
      expect(await registry.handOver(session.id, 1, { owner: second })).toMatchObject({ kind: "handed-over" });
    });

    test("owners are told in the order in which they are asked for", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const [one, absent, other] = [newSession(), newSession(), newSession({ owner: second, epoch: 5 })];
      await registry.claim(one);
      await registry.claim(other);
      expect(await registry.owners([other.id, absent.id, one.id])).toEqual([
        { owner: second, epoch: 5 },
        undefined,
        { owner: first, epoch: 1 },
      ]);
      expect(await registry.owners([])).toEqual([]);
    });

    test("a remembered close refuses a claim, of whatever epoch", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const session = newSession();
      expect(await one.close(session.id, { remember: true })).toBe(false);
      expect(await other.claim(session)).toEqual({ kind: "closed" });
      expect(await other.claim({ ...session, epoch: 9 })).toEqual({ kind: "closed" });
      expect(await other.find(session.id)).toBeUndefined();
      expect(await other.write(session.id, session, { state: { a: "1" } })).toEqual({ kind: "missing" });
      expect(await other.handOver(session.id, 1, { owner: second })).toEqual({ kind: "missing" });
      expect(await other.renew([session.id])).toEqual([session.id]);
    });

    test("a close of what is there is remembered by itself; of what is not, when it is asked for", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const [there, absent, known] = [newSession(), newSession(), newSession()];
      await one.claim(there);
      expect(await other.close(there.id)).toBe(true);
      expect(await other.close(absent.id)).toBe(false);
      expect(await other.close(known.id, { remember: true })).toBe(false);
      // Claims from before, which were on their way for longer.
      expect(await one.claim(there)).toEqual({ kind: "closed" });
      expect(await one.claim(absent)).toEqual({ kind: "claimed" });
      expect(await one.claim(known)).toEqual({ kind: "closed" });
      expect(await other.find(there.id)).toBeUndefined();
    });

    test("all nodes are told one generation, whoever asks first, and nothing is lost", async () => {
      const registries = await cluster(3);
      const told = await Promise.all(registries.map((registry) => registry.generation(undefined)));
      expect(new Set(told.map(({ id }) => id)).size).toBe(1);
      expect(told.map(({ lostAgoMs }) => lostAgoMs)).toEqual([undefined, undefined, undefined]);
      const again = await registries[1]?.generation(told[0]?.id);
      expect(again).toEqual({ id: told[0]?.id });
    });

    test("when the entries are lost the generation is another one, and every node is told since when", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const before = await one.generation(undefined);
      await lose();
      // A node that has just begun can't know that anything was lost.
      const fresh = await other.generation(undefined);
      expect(fresh).toEqual({ id: expect.not.stringMatching(`^${before.id}$`) });
      const noticed = await one.generation(before.id);
      expect(noticed).toEqual({ id: fresh.id, lostAgoMs: 0 });
      const start = performance.now();
      while (performance.now() - start < 60) await new Promise((resolve) => setTimeout(resolve, 20));
      for (const known of [before.id, fresh.id, undefined]) {
        const { id, lostAgoMs = 0 } = await other.generation(known);
        expect(id).toBe(fresh.id);
        // Noted once: a node that notices later doesn't move it.
        expect(lostAgoMs).toBeGreaterThan(50);
        expect(lostAgoMs).toBeLessThan(10_000);
      }
    });
  });
}
