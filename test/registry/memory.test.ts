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

  test("without a URL the registry is in memory", () => {
    const registry = openRegistry({ namespace: "", log: new RecordedLog() });
    expect(registry).toBeInstanceOf(MemoryRegistry);
  });
});
