import { beforeEach, describe, expect, test } from "vitest";
import { Ownership, type OwnershipParts } from "../../src/node/ownership.ts";
import { PromisesMade } from "../../src/node/promises.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";

const lease = 5_000;
let time = { monotonic: 100_000, wall: 1_760_000_000_000 };
let ended = 0;

beforeEach(() => {
  time = { monotonic: 100_000, wall: 1_760_000_000_000 };
  ended = 0;
});

const pass = (ms: number) => {
  time = { monotonic: time.monotonic + ms, wall: time.wall + ms };
};

const other = (name: string): NodeRecord => ({
  ...{ name, tag: `t-${name}`, incarnation: `${name}-1`, url: "http://127.0.0.1:1", state: "up", pid: 1, since: 0 },
});

function owner(parts: Partial<OwnershipParts> = {}): Ownership {
  const ownership = new Ownership({
    lease,
    policy: "resume",
    read: () => time,
    others: () => [],
    askPromise: async () => "silent",
    onOver: () => {
      ended += 1;
    },
    ...parts,
  });
  ownership.renewed(time);
  return ownership;
}

describe("an owner whose lease is not renewed", () => {
  test("gives up before anybody else may take over, and says so once", () => {
    const ownership = owner({ others: () => [other("a")] });
    pass(lease * 0.9);
    expect(ownership.mayOwn()).toBe(true);
    pass(lease * 0.06);
    expect(ownership.mayOwn()).toBe(false);
    expect(ownership.mayOwn()).toBe(false);
    expect(ended).toBe(1);
  });

  test("gives up also when the machine slept, or its clock was set", () => {
    const slept = owner();
    time = { ...time, wall: time.wall + lease };
    expect(slept.mayOwn()).toBe(false);
    const setBack = owner();
    time = { monotonic: time.monotonic + lease, wall: time.wall - 3_600_000 };
    expect(setBack.mayOwn()).toBe(false);
  });

  test("is not given more by an answer that took its time", () => {
    const ownership = owner();
    const askedAt = time;
    pass(lease);
    ownership.renewed(askedAt);
    expect(ownership.mayOwn()).toBe(false);
  });

  test("owns again once the lease is renewed", () => {
    const ownership = owner();
    pass(lease);
    expect(ownership.mayOwn()).toBe(false);
    ownership.renewed(time);
    expect(ownership.mayOwn()).toBe(true);
    pass(lease);
    expect(ownership.mayOwn()).toBe(false);
    expect(ended).toBe(2);
  });

  test("loses what it had over a gap that nobody looked into", () => {
    const ownership = owner();
    pass(lease);
    ownership.renewed(time);
    expect(ended).toBe(1);
    expect(ownership.ends).toBe(1);
    expect(ownership.mayOwn()).toBe(true);
  });

  test("gets no right back by promises once it has ended", async () => {
    let answer: "promised" | "silent" = "silent";
    const ownership = owner({ others: () => [other("a")], askPromise: async () => answer });
    pass(lease);
    expect(ownership.mayOwn()).toBe(false);
    answer = "promised";
    await ownership.notRenewed();
    expect(ownership.mayOwn()).toBe(false);
    ownership.renewed(time);
    expect(ownership.mayOwn()).toBe(true);
  });

  test.each([
    ["by the promises of all others", "promised", [other("a"), other("b")]],
    ["where the others are dead", "dead", [other("a")]],
    ["where there is none", "silent", []],
  ] as const)("goes on %s, for as long as it asks again", async (_name, answer, others) => {
    const ownership = owner({ others: () => others, askPromise: async () => answer });
    for (let round = 0; round < 10; round += 1) {
      pass(lease * 0.9);
      await ownership.notRenewed();
      expect(ownership.mayOwn()).toBe(true);
    }
    // As when it was frozen meanwhile: others may have come, and adopted.
    pass(lease);
    expect(ownership.mayOwn()).toBe(false);
  });

  test("gives up at its lease when a single one is silent", async () => {
    const ownership = owner({
      others: () => [other("a"), other("b")],
      askPromise: async ({ name }) => (name === "a" ? "promised" : "silent"),
    });
    await ownership.notRenewed();
    expect(ownership.mayOwn()).toBe(true);
    pass(lease);
    await ownership.notRenewed();
    expect(ownership.mayOwn()).toBe(false);
  });

  test("relies on a promise until it is over, also when the one that gave it has the registry again", async () => {
    let answer: "promised" | "silent" = "promised";
    const ownership = owner({ others: () => [other("a")], askPromise: async () => answer });
    pass(lease * 0.9);
    await ownership.notRenewed();
    answer = "silent";
    pass(lease * 0.9);
    await ownership.notRenewed();
    expect(ownership.mayOwn()).toBe(true);
    pass(lease * 0.1);
    expect(ownership.mayOwn()).toBe(false);
  });

  test("has nothing to give up where nobody adopts", () => {
    const ownership = owner({ policy: "reject" });
    pass(100 * lease);
    expect(ownership.mayOwn()).toBe(true);
  });
});

describe("a node that is asked for a promise", () => {
  const asked = (hasRegistry: boolean) =>
    new PromisesMade({ lease, read: () => time, hasRegistry: async () => hasRegistry });

  test("gives none while it has the registry: it may adopt", async () => {
    const promises = asked(true);
    expect(await promises.ask("a-1")).toBe(false);
    expect(promises.holds("a-1")).toBe(false);
  });

  test("is bound for a whole lease, by the slower of its clocks, and to that start of that node only", async () => {
    const promises = asked(false);
    expect(await promises.ask("a-1")).toBe(true);
    expect(promises.holds("a-2")).toBe(false);
    pass(lease - 1);
    expect(promises.holds("a-1")).toBe(true);
    time = { ...time, wall: time.wall + lease };
    expect(promises.holds("a-1")).toBe(true);
    pass(1);
    expect(promises.holds("a-1")).toBe(false);
  });

  test("is bound for longer than the one that asked relies on it", async () => {
    const promises = asked(false);
    const askedAt = time;
    const ownership = owner({
      others: () => [other("b")],
      askPromise: async () => {
        pass(300);
        return (await promises.ask("a-1")) ? "promised" : "silent";
      },
    });
    await ownership.notRenewed();
    for (let ms = 0; ms < 2 * lease; ms += 50) {
      if (ownership.mayOwn()) expect(promises.holds("a-1")).toBe(true);
      pass(50);
    }
    expect(time.monotonic - askedAt.monotonic).toBeGreaterThan(lease);
  });
});
