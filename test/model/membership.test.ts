import { describe, expect, test } from "vitest";
import {
  afterLapse,
  type FirstLook,
  type Look,
  type Member,
  nextJoinStep,
  nextLeaseStep,
  nextMembers,
  noMembers,
} from "../../src/model/membership.ts";

const own = { name: "node-1", tag: "k3f9q2", incarnation: "second" };
const former = { ...own, incarnation: "first" };
const lookEveryMs = 500;

/** A look at the holder that took 10 ms. */
function look(askedAt: number, leftMs: number, by: Member = former): Look<Member> {
  return { by, leftMs, askedAt, answeredAt: askedAt + 10 };
}

describe("a node that finds its tag held", () => {
  test("by a node of another name is refused at once", () => {
    const stranger = { ...former, name: "node-2" };
    expect(nextJoinStep({ own, look: look(0, 5_000, stranger), first: undefined, lookEveryMs })).toEqual({
      kind: "refuse",
      why: "same-tag",
    });
  });

  test("by a node of its own name asks it first whether it lives", () => {
    expect(nextJoinStep({ own, look: look(0, 5_000), first: undefined, lookEveryMs })).toEqual({ kind: "ask" });
  });

  test("is refused when the holder answers", () => {
    const first: FirstLook<Member> = { ...look(0, 5_000), answers: true };
    expect(nextJoinStep({ own, look: look(20, 4_980), first, lookEveryMs })).toEqual({
      kind: "refuse",
      why: "answers",
    });
  });

  test("waits for a holder that does not answer, until its lease is over and no longer", () => {
    const first: FirstLook<Member> = { ...look(0, 5_000), answers: false };
    const step = (askedAt: number) => nextJoinStep({ own, look: look(askedAt, 5_000 - askedAt), first, lookEveryMs });
    expect(step(1_000)).toEqual({ kind: "wait", ms: 500 });
    expect(step(4_500)).toEqual({ kind: "wait", ms: 500 });
    expect(step(4_900)).toEqual({ kind: "wait", ms: 101 });
    expect(step(5_000)).toEqual({ kind: "wait", ms: 1 });
  });

  test("is refused when the holder renews its lease", () => {
    const first: FirstLook<Member> = { ...look(0, 4_200), answers: false };
    expect(nextJoinStep({ own, look: look(500, 4_900), first, lookEveryMs })).toEqual({
      kind: "refuse",
      why: "renewed",
    });
  });

  test.each([
    ["the first", { askedAt: 0, answeredAt: 900 }, { askedAt: 1_000, answeredAt: 1_001 }, 4_900],
    ["a later", { askedAt: 0, answeredAt: 1 }, { askedAt: 1_000, answeredAt: 1_900 }, 3_200],
  ])("does not take a slow answer of the registry for a renewal: %s one", (_, atFirst, later, leftMs) => {
    const first: FirstLook<Member> = { by: former, leftMs: 5_000, ...atFirst, answers: false };
    expect(nextJoinStep({ own, look: { by: former, leftMs, ...later }, first, lookEveryMs }).kind).toBe("wait");
  });

  test("asks anew when a third one was faster to take the name over", () => {
    const first: FirstLook<Member> = { ...look(0, 100), answers: false };
    const third = { ...own, incarnation: "third" };
    expect(nextJoinStep({ own, look: look(200, 5_000, third), first, lookEveryMs })).toEqual({ kind: "ask" });
  });
});

describe("a member that gave a sign of life", () => {
  test("goes on when its lease was renewed", () => {
    expect(nextLeaseStep({ kind: "renewed" })).toEqual({ kind: "go-on" });
    expect(nextLeaseStep({ kind: "joined" })).toEqual({ kind: "go-on" });
  });

  test("joins again when its lease ran out and nobody took its name", () => {
    expect(nextLeaseStep({ kind: "lost", to: undefined })).toEqual({ kind: "join-again" });
  });

  test("gives up when another incarnation has its name, whenever that comes out", () => {
    expect(nextLeaseStep({ kind: "lost", to: own })).toEqual({ kind: "give-up", to: own });
    expect(nextLeaseStep({ kind: "held", by: own })).toEqual({ kind: "give-up", to: own });
  });
});

describe("the table of nodes", () => {
  const [a, b, c] = ["a", "b", "c"].map((name) => ({ name, tag: `t-${name}`, incarnation: "first" })) as [
    Member,
    Member,
    Member,
  ];
  const options = { ownTag: "t-a", renewMs: 1_000 };
  const names = ({ nodes }: { nodes: ReadonlyMap<string, Member> }) => [...nodes.values()].map(({ name }) => name);
  const start = nextMembers(noMembers<Member>(), { ...options, listed: [a, b], now: 0 });

  test("is what the registry lists: who joined is in it, who is gone is not", () => {
    expect(names(start)).toEqual(["a", "b"]);
    expect(names(nextMembers(start, { ...options, listed: [a, c], now: 1_000 }))).toEqual(["a", "c"]);
  });

  test("has the record as it was listed last", () => {
    const restarted = { ...b, incarnation: "second" };
    const next = nextMembers(start, { ...options, listed: [a, restarted], now: 1_000 });
    expect(next.nodes.get("t-b")).toBe(restarted);
  });

  test("keeps nodes that a registry forgot which forgot this node too, until all had time to join again", () => {
    const emptied = nextMembers(start, { ...options, listed: [], now: 10_000 });
    expect(names(emptied)).toEqual(["a", "b"]);
    const meBack = nextMembers(emptied, { ...options, listed: [a, c], now: 11_000 });
    expect(names(meBack)).toEqual(["a", "b", "c"]);
    const gone = nextMembers(meBack, { ...options, listed: [a, c], now: 12_000 });
    expect(names(gone)).toEqual(["a", "c"]);
  });

  test("keeps the others when it was this node that had to join again, before it asked who is there", () => {
    const alone = nextMembers(afterLapse(start, 10_000, 1_000), { ...options, listed: [a], now: 10_001 });
    expect(names(alone)).toEqual(["a", "b"]);
    expect(names(nextMembers(alone, { ...options, listed: [a], now: 12_000 }))).toEqual(["a"]);
  });

  test("keeps them for as long as the registry lacks this node", () => {
    let table = start;
    for (let now = 10_000; now < 60_000; now += 1_000) {
      table = nextMembers(table, { ...options, listed: [], now });
      expect(names(table)).toEqual(["a", "b"]);
    }
  });
});
