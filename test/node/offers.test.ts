import { expect, test, vi } from "vitest";
import { Offers } from "../../src/node/offers.ts";
import type { Answer, Question } from "../../src/node/peer/question.ts";
import type { NodeRecord, SessionRecord } from "../../src/ports/registry.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const id = "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA";

function member(tag: string, since: number): NodeRecord {
  const address = { url: `http://${tag}:1`, peer: `http://${tag}:2` };
  return { name: `node-${tag}`, tag, incarnation: `${tag}-1`, ...address, state: "up", pid: 1, since };
}

/** A node `self` among others that say these things when they are asked, the last started first. */
function offers(said: Record<string, (epoch: number) => Answer | "refused" | "silent">) {
  const tags = Object.keys(said);
  const record = { id, owner: { tag: "self", incarnation: "self-1" }, epoch: 2, createdAt: 0 } as const;
  const session: { record: SessionRecord | undefined } = { record };
  const asked: [string, Question][] = [];
  const log = new RecordedLog();
  const node = new Offers({
    peering: {
      ask: async ({ tag }, question) => {
        asked.push([tag, question]);
        return said[tag]?.(Number(question.epoch)) ?? "silent";
      },
    },
    registry: { find: async () => session.record },
    ...{ own: "self", roundMs: 10_000, log },
    members: () => [member("self", 9), ...tags.map((tag, index) => member(tag, tags.length - index))],
  });
  const own = (tag: string, epoch: number) => {
    session.record = { ...record, epoch, owner: { tag, incarnation: `${tag}-1` } };
  };
  return { asked, log, own, session, offer: () => node.offer({ id, epoch: 2, of: "former", format: undefined }) };
}

const takes = () => ({ taken: true });
const refuses = () => ({ taken: false, why: "not-now" });

test("a session goes to the first node that takes it", async () => {
  const { offer, asked, log } = offers({ a: refuses, b: takes, c: takes });
  expect(await offer()).toMatchObject({ tag: "b" });
  expect(asked).toEqual([
    ["a", { kind: "take", id, epoch: 2, of: "former" }],
    ["b", { kind: "take", id, epoch: 2, of: "former" }],
  ]);
  expect(log.of("session-not-taken")).toMatchObject([{ session: id, by: "node-a", why: "not-now" }]);
  expect(log.of("session-handed-over")).toMatchObject([{ session: id, to: "node-b", epoch: 3 }]);
});

test("a node that had claimed it before it knew that it can't read it, cost an epoch", async () => {
  const cannot = (epoch: number) => ({ taken: false, why: "unreadable", epoch: epoch + 1 });
  const { offer, asked } = offers({ a: cannot, b: cannot, c: takes });
  expect(await offer()).toMatchObject({ tag: "c" });
  expect(asked.map(([, { epoch }]) => epoch)).toEqual([2, 3, 4]);
});

test.each(["not-now", "not-ours"])("a node that says %s because it has it is not robbed of it", async (why) => {
  const { offer, asked, own } = offers({
    a: (epoch) => {
      own("a", epoch + 1);
      return { taken: false, why };
    },
    b: takes,
  });
  expect(await offer()).toBeUndefined();
  expect(asked).toHaveLength(1);
});

test("a node that is gone, or doesn't know the question, is passed over", async () => {
  const { offer } = offers({ a: () => "refused", b: () => "silent", c: takes });
  expect(await offer()).toMatchObject({ tag: "c" });
});

test("a node that may have it is not robbed of it, although its answer was lost", async () => {
  const { offer, asked, own } = offers({
    a: (epoch) => {
      own("a", epoch + 1);
      return "silent";
    },
    b: takes,
  });
  expect(await offer()).toBeUndefined();
  expect(asked).toHaveLength(1);
});

test.each<[string, (parts: ReturnType<typeof offers>) => void]>([
  ["another node has adopted", ({ own }) => own("z", 3)],
  ["was closed", ({ session }) => (session.record = undefined)],
])("one that %s meanwhile is not offered on", async (_what, change) => {
  const parts = offers({
    a: () => {
      change(parts);
      return { taken: false, why: "not-ours" };
    },
    b: takes,
  });
  expect(await parts.offer()).toBeUndefined();
  expect(parts.asked).toHaveLength(1);
});

test("requests that wait for one session share a round, and one that nobody takes rests a moment", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const { offer, asked, log } = offers({ a: refuses, b: refuses });
    expect(await Promise.all([offer(), offer(), offer()])).toEqual([undefined, undefined, undefined]);
    expect(await offer()).toBeUndefined();
    expect(asked).toHaveLength(2);
    vi.advanceTimersByTime(1_100);
    expect(await offer()).toBeUndefined();
    expect(asked).toHaveLength(4);
    // What is said again and again is logged once.
    expect(log.of("session-not-taken")).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});
