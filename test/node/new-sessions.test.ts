import { beforeEach, expect, test } from "vitest";
import { NewSessions, type NewSessionsParts } from "../../src/node/new-sessions.ts";
import { DeferredWrites } from "../../src/registry/deferred-writes.ts";
import { FailingRegistry } from "../registry/failing-registry.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const holdMs = 200;
const record = { id: "k3f9q2.a", owner: { tag: "k3f9q2", incarnation: "one" }, epoch: 1, createdAt: 0 };

let registry: FailingRegistry;
let writes: DeferredWrites;
let right: { mayOwn: boolean; isPromised: boolean; doubts: number };

beforeEach(async () => {
  registry = new FailingRegistry();
  await registry.start();
  writes = new DeferredWrites({ registry, log: new RecordedLog(), onLost: () => {} });
  right = { mayOwn: true, isPromised: false, doubts: 0 };
  return () => writes.stop();
});

/** Whether the client of a new session may learn of it. */
function mayBegin(more: Partial<NewSessionsParts> = {}): Promise<boolean> {
  const ownership = {
    mayOwn: () => right.mayOwn,
    get isPromised() {
      return right.isPromised;
    },
    watch: <T>(call: Promise<T>) => call,
    doubt: () => {
      right.doubts += 1;
    },
  };
  const parts = { keeps: true, writes, ownership, holdMs, strict: false, ...more };
  const noting = writes.claim(record.id, () => registry.claim(record));
  return new NewSessions(parts as unknown as NewSessionsParts).mayBegin(record.id, noting);
}

test("a session that the registry has may begin", async () => {
  expect(await mayBegin()).toBe(true);
  expect(right.doubts).toBe(0);
});

test("while the registry is away one waits until it is back, or all have promised; not for longer than the hold", async () => {
  registry.failure = "unavailable";
  const began = performance.now();
  expect(await mayBegin()).toBe(false);
  expect(performance.now() - began).toBeGreaterThan(holdMs - 5);
  expect(right.doubts).toBe(1);

  const promised = mayBegin();
  setTimeout(() => {
    right.isPromised = true;
  }, 50);
  expect(await promised).toBe(true);

  right.isPromised = false;
  const back = mayBegin();
  setTimeout(() => {
    registry.failure = undefined;
    registry.tellReachable(true);
  }, 50);
  expect(await back).toBe(true);
});

test("one that waits does not begin when the right is over", async () => {
  registry.failure = "unavailable";
  const waiting = mayBegin({ holdMs: 60_000 });
  right.mayOwn = false;
  expect(await waiting).toBe(false);
});

test("with strict durability one waits also when all have promised", async () => {
  registry.failure = "unavailable";
  right.isPromised = true;
  expect(await mayBegin({ strict: true })).toBe(false);
});

test("where nothing outlives its node none waits", async () => {
  registry.failure = "unavailable";
  expect(await mayBegin({ keeps: false, holdMs: 60_000 })).toBe(true);
});
