import { expect, test } from "vitest";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { renewalInterval, sessionTtl } from "../../src/registry/session-ttl.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

test("a session is kept for longer than it may be idle, and never for longer than 30 days", () => {
  expect(sessionTtl(30 * day)).toBe(30 * day);
  expect(sessionTtl(7 * day)).toBe(7 * day + 2 * hour);
  expect(sessionTtl(hour)).toBe(1.5 * hour);
  expect(sessionTtl(1_000)).toBe(10 * minute + 1_000);
});

test("a session in use is renewed often enough that it never ends before its idle time is over", () => {
  expect(renewalInterval(30 * day)).toBe(hour);
  for (const idle of [1_000, minute, 20 * minute, hour, 4 * hour, day, 29 * day]) {
    const ttl = sessionTtl(idle);
    // The last use may have come just after a renewal, and the next renewal a tenth of the interval late.
    expect(ttl - 1.1 * renewalInterval(ttl), `idle for ${idle} ms`).toBeGreaterThanOrEqual(idle);
  }
});

test("the registry in memory keeps a session so long, too", async () => {
  let now = 0;
  const registry = new MemoryRegistry({ store: new MemoryStore(sessionTtl(hour)), clock: { now: () => now } });
  await registry.start();
  const session = { id: "k3f9q2.a", owner: { tag: "k3f9q2", incarnation: "first" }, epoch: 1, createdAt: 0 };
  await registry.claim(session);
  now = 1.5 * hour - 1;
  expect(await registry.find(session.id)).toEqual(session);
  now += 1;
  expect(await registry.find(session.id)).toBeUndefined();
});
