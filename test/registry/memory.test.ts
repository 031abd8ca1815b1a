import { describe, expect, test } from "vitest";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { openRegistry } from "../../src/registry/open-registry.ts";
import { registryContract } from "../contracts/registry.ts";
import { RecordedLog } from "../support/recorded-log.ts";

registryContract("memory", async () => {
  const stores = new Map<string, MemoryStore>();
  return {
    open(namespace) {
      const store = stores.get(namespace) ?? new MemoryStore();
      stores.set(namespace, store);
      return new MemoryRegistry({ store });
    },
    async lose() {
      for (const store of stores.values()) store.lose();
    },
    async stop() {},
  };
});

describe("memory", () => {
  const day = 24 * 60 * 60 * 1_000;
  const session = { id: "k3f9q2.a", owner: { tag: "k3f9q2", incarnation: "first" }, epoch: 1, createdAt: 0 };

  test("a session is kept for 30 days since its last use", async () => {
    let now = 0;
    const registry = new MemoryRegistry({ clock: { now: () => now } });
    await registry.start();
    await registry.claim(session);
    now = 29 * day;
    expect(await registry.renew([session.id])).toEqual([]);
    now = 58 * day;
    expect(await registry.find(session.id)).toEqual(session);
    now = 59 * day;
    expect(await registry.find(session.id)).toBeUndefined();
    expect(await registry.renew([session.id])).toEqual([session.id]);
  });

  test("a write and a hand-over are uses", async () => {
    let now = 0;
    const registry = new MemoryRegistry({ clock: { now: () => now } });
    await registry.start();
    await registry.claim(session);
    now = 29 * day;
    await registry.write(session.id, session, { state: { a: "1" } });
    now = 58 * day;
    expect(await registry.handOver(session.id, 1, { owner: session.owner })).toMatchObject({ kind: "handed-over" });
    now = 87 * day;
    expect(await registry.find(session.id)).toMatchObject({ epoch: 2 });
  });

  test("the log ends five minutes after its last event, a remembered close after an hour, as does word of a loss", async () => {
    let now = 0;
    const store = new MemoryStore();
    const registry = new MemoryRegistry({ store, clock: { now: () => now } });
    await registry.start();
    const minute = 60_000;
    await registry.claim(session);
    await registry.write(session.id, session, { events: [{ stream: "s", sequence: 1, json: "{}", at: now }] });
    await registry.close("k3f9q2.b", { remember: true });
    const known = (await registry.generation(undefined)).id;
    now = 5 * minute;
    expect(await registry.handOver(session.id, 1, session)).toMatchObject({ session: { events: [], sequence: 1 } });
    now = 60 * minute - 1;
    expect(await registry.claim({ ...session, id: "k3f9q2.b" })).toEqual({ kind: "closed" });
    now += 1;
    expect(await registry.claim({ ...session, id: "k3f9q2.b" })).toEqual({ kind: "claimed" });
    store.lose();
    expect(await registry.generation(known)).toMatchObject({ lostAgoMs: 0 });
    now += 60 * minute - 1;
    expect(await registry.generation(known)).toMatchObject({ lostAgoMs: 60 * minute - 1 });
    now += 1;
    expect((await registry.generation(known)).lostAgoMs).toBeUndefined();
  });

  test("what comes out of it can't change what is in it", async () => {
    const registry = new MemoryRegistry();
    await registry.start();
    const journal = { initialize: "{}", subscriptions: ["a"] };
    await registry.claim({ ...session, journal });
    journal.subscriptions.push("b");
    const found = await registry.find(session.id);
    found?.journal && Object.assign(found.journal, { subscriptions: ["c"] });
    expect((await registry.find(session.id))?.journal?.subscriptions).toEqual(["a"]);
  });

  test("without a URL the registry is in memory", () => {
    const registry = openRegistry({ namespace: "", log: new RecordedLog() });
    expect(registry).toBeInstanceOf(MemoryRegistry);
  });
});
