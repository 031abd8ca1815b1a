import { expect, test, vi } from "vitest";
import { ownFormats } from "../../src/model/formats.ts";
import type { Reading } from "../../src/model/lease.ts";
import { Adoptions } from "../../src/node/adoptions.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";
import { Ownership } from "../../src/node/ownership.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import type { ServerDefinition, ServerFactory } from "../../src/session/define-server.ts";
import type { Session, SessionHost } from "../../src/session/session.ts";
import type { SessionStore } from "../../src/session/session-store.ts";
import { initialize, KeptSession } from "../session/kept-session.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const lease = 5_000;
const id = "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA";

/** A node that may adopt one session, whose owner is gone, from a registry whose answers wait for the test. */
async function scene(more: Partial<SessionHost> = {}) {
  let time: Reading = { monotonic: 0, wall: 0 };
  const pass = (ms: number) => {
    time = { monotonic: time.monotonic + ms, wall: time.wall + ms };
  };
  const ownership = new Ownership({
    ...{ lease, renew: 1_000, policy: "resume", read: () => time, others: () => [] },
    ...{ askPromise: async () => "silent", askLease: () => {}, onOver: () => {} },
  });
  ownership.renewed(time);
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  class Slow extends MemoryRegistry {
    override async handOver(...args: Parameters<MemoryRegistry["handOver"]>) {
      const handedOver = await super.handOver(...args);
      await answered;
      return handedOver;
    }
  }
  const registry = new Slow({ store: new MemoryStore() });
  await registry.start();
  const owner = { tag: "m4m4m4", incarnation: "gone" };
  await registry.claim({ id, owner, epoch: 1, createdAt: 0, journal: { initialize: JSON.stringify(initialize) } });
  const { host, session } = await KeptSession.open("v2");
  await session.close();
  const store = { owns: () => ownership.mayOwn() } as unknown as SessionStore;
  const added: Session[] = [];
  const log = new RecordedLog();
  const stop = new AbortController();
  const adoptions = new Adoptions({
    ...{ host: { ...host, ...more }, registry, ownership, metrics: new NodeMetrics(), log, stopping: stop.signal },
    owner: () => ({ owner: { tag: "k3f9q2", incarnation: "one" }, peer: undefined }),
    store: () => store,
    reads: ownFormats,
    generation: () => undefined,
    add: (restored) => added.push(restored) > 0,
  });
  return { adoptions, ownership, added, pass, answer, now: () => time, host, log, stop };
}

test("an adoption that the right outlasts is carried out", async () => {
  const { adoptions, added, answer, pass } = await scene();
  const adopting = adoptions.adopt(id, 1, "gone");
  pass(lease / 2);
  answer();
  expect(await adopting).toMatchObject({ kind: "adopted" });
  expect(added.map(({ epoch }) => epoch)).toEqual([2]);
  await added[0]?.close();
});

test("one that began under a right which has ended since is given up, though there is a new lease by then", async () => {
  const { adoptions, ownership, added, answer, pass, now } = await scene();
  const adopting = adoptions.adopt(id, 1, "gone");
  // Frozen, say: by its next lease others may have adopted what it had asked for.
  pass(lease);
  ownership.renewed(now());
  expect(ownership.mayOwn()).toBe(true);
  answer();
  expect(await adopting).toEqual({ kind: "not-now" });
  expect(added).toEqual([]);
});

test("one whose server is never made fails for all who wait, says so in the log, and can be tried again", async () => {
  let makes = 0;
  let create: ServerFactory = () => {
    makes += 1;
    return new Promise(() => {});
  };
  const definition: ServerDefinition = { create: (context) => create(context) };
  const { adoptions, added, answer, log, host } = await scene({ definition, createMs: 50 });
  answer();
  const waiting = [adoptions.adopt(id, 1, "gone"), adoptions.adopt(id, 1, "gone")];
  expect(await Promise.all(waiting)).toEqual([
    { kind: "failed", epoch: 2 },
    { kind: "failed", epoch: 2 },
  ]);
  expect(makes).toBe(1);
  expect(log.of("session-not-adopted")).toMatchObject([{ session: id, why: expect.stringMatching(/within 50 ms/) }]);
  create = host.definition.create;
  expect(await adoptions.adopt(id, 2, "gone")).toMatchObject({ kind: "adopted" });
  await added[0]?.close();
});

test("one whose server does not answer what its client had said fails, too", async () => {
  const deaf: ServerDefinition = { create: () => ({ connect: async () => {}, close: async () => {} }) };
  const { adoptions, answer, log } = await scene({ definition: deaf });
  vi.useFakeTimers();
  try {
    answer();
    const adopting = adoptions.adopt(id, 1, "gone");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await adopting).toEqual({ kind: "failed", epoch: 2 });
    expect(log.of("session-not-adopted")).toMatchObject([
      { why: expect.stringContaining("did not answer initialize") },
    ]);
  } finally {
    vi.useRealTimers();
  }
});

test("none is waited for when its node stops", async () => {
  const definition: ServerDefinition = { create: () => new Promise(() => {}) };
  const { adoptions, answer, log, stop } = await scene({ definition });
  answer();
  const adopting = adoptions.adopt(id, 1, "gone");
  stop.abort();
  expect(await adopting).toEqual({ kind: "not-now" });
  expect(log.lines).toEqual([]);
});
