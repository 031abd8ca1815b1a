import { describe, expect, test } from "vitest";
import { Generations } from "../../src/node/generations.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { FailingRegistry } from "../registry/failing-registry.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";

async function node(store: MemoryStore) {
  const registry = new MemoryRegistry({ store });
  await registry.start();
  const generations = new Generations({ registry, lease: 5_000, log: new RecordedLog() });
  let losses = 0;
  generations.onLost(() => {
    losses += 1;
  });
  return { generations, losses: () => losses };
}

describe("a registry that lost its entries", () => {
  test("is noticed by every node that knew it before, once", async () => {
    const store = new MemoryStore();
    const [one, other] = [await node(store), await node(store)];
    await one.generations.check();
    await other.generations.check();
    expect(one.generations.quiet).toBe(false);
    store.lose();
    await Promise.all([one.generations.check(), one.generations.check(), other.generations.check()]);
    await one.generations.check();
    expect([one.losses(), other.losses()]).toEqual([1, 1]);
    expect([one.generations.quiet, other.generations.quiet]).toEqual([true, true]);
  });

  test("is known to a node that starts a moment later, which has nothing to write again", async () => {
    const store = new MemoryStore();
    const one = await node(store);
    await one.generations.check();
    store.lose();
    await one.generations.check();
    const late = await node(store);
    await late.generations.check();
    expect(late.generations.quiet).toBe(true);
    expect(late.losses()).toBe(0);
  });

  test("a new one is no loss", async () => {
    const fresh = await node(new MemoryStore());
    await fresh.generations.check();
    expect(fresh.generations.quiet).toBe(false);
  });

  test("is not answered for by a question that was asked before it", async () => {
    const store = new MemoryStore();
    const { generations } = await node(store);
    await generations.check();
    const early = generations.check();
    store.lose();
    await Promise.all([early, generations.check(), generations.check()]);
    expect(generations.quiet).toBe(true);
  });
});

describe("what a registry does not have", () => {
  test("may exist while it is away, and for a lease after it is back: its owner writes it by then", async () => {
    const registry = new FailingRegistry();
    const generations = new Generations({ registry, lease: 80, log: new RecordedLog() });
    expect(generations.incomplete).toBe(false);
    registry.tellReachable(false);
    expect(generations.incomplete).toBe(true);
    registry.tellReachable(true);
    const backAt = performance.now();
    expect(generations.incomplete).toBe(true);
    await eventually(() => expect(generations.incomplete).toBe(false));
    expect(performance.now() - backAt).toBeGreaterThanOrEqual(79);
    // That it was away is no reason to adopt nothing.
    registry.tellReachable(false);
    expect(generations.quiet).toBe(false);
  });

  test("may exist after a loss, for a lease", async () => {
    const store = new MemoryStore();
    const { generations } = await node(store);
    await generations.check();
    store.lose();
    await generations.check();
    expect(generations.incomplete).toBe(true);
  });
});
