import { expect, test } from "vitest";
import { ownFormats } from "../../src/model/formats.ts";
import type { Reading } from "../../src/model/lease.ts";
import { Adoptions } from "../../src/node/adoptions.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";
import { Ownership } from "../../src/node/ownership.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import type { Session } from "../../src/session/session.ts";
import type { SessionStore } from "../../src/session/session-store.ts";
import { initialize, KeptSession } from "../session/kept-session.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const lease = 5_000;
const id = "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA";

/** A node that may adopt one session, whose owner is gone, from a registry whose answers wait for the test. */
async function scene() {
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
  const adoptions = new Adoptions({
    ...{ host, registry, ownership, metrics: new NodeMetrics(), log: new RecordedLog() },
    owner: () => ({ owner: { tag: "k3f9q2", incarnation: "one" }, peer: undefined }),
    store: () => store,
    reads: ownFormats,
    generation: () => undefined,
    add: (restored) => added.push(restored) > 0,
  });
  return { adoptions, ownership, added, pass, answer, now: () => time };
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
