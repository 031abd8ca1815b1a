import { beforeEach, describe, expect, test, vi } from "vitest";
import { Ownership, type OwnershipParts } from "../../src/node/ownership.ts";
import { PromisesMade } from "../../src/node/promises.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";

const lease = 5_000;
const renew = 1_000;
let time = { monotonic: 100_000, wall: 1_760_000_000_000 };
let ended = 0;
/** What the other nodes say when they are asked for a promise. */
let answer: Awaited<ReturnType<OwnershipParts["askPromise"]>>;

beforeEach(() => {
  time = { monotonic: 100_000, wall: 1_760_000_000_000 };
  ended = 0;
  answer = "silent";
});

const pass = (ms: number) => {
  time = { monotonic: time.monotonic + ms, wall: time.wall + ms };
};

const other = (name: string): NodeRecord => ({
  ...{ name, tag: `t-${name}`, incarnation: `${name}-1`, url: "http://127.0.0.1:1", state: "up", pid: 1, since: 0 },
});

/** The right of a node that has just joined. */
function newcomer(parts: Partial<OwnershipParts> = {}): Ownership {
  const ownership = new Ownership({
    lease,
    renew,
    policy: "resume",
    read: () => time,
    others: () => [],
    askPromise: async () => answer,
    askLease: () => {},
    onOver: () => {
      ended += 1;
    },
    ...parts,
  });
  ownership.renewed(time);
  return ownership;
}

/** The right of a node that has listed the others since it joined. */
function owner(parts: Partial<OwnershipParts> = {}): Ownership {
  const ownership = newcomer(parts);
  ownership.listed(time.monotonic + lease);
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
    const ownership = owner({ others: () => [other("a")] });
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
  ] as const)("goes on %s, for as long as it asks again", async (_name, given, others) => {
    answer = given;
    const ownership = owner({ others: () => others });
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
    answer = "promised";
    const ownership = owner({ others: () => [other("a")] });
    pass(lease * 0.9);
    await ownership.notRenewed();
    answer = "silent";
    pass(lease * 0.9);
    await ownership.notRenewed();
    expect(ownership.mayOwn()).toBe(true);
    pass(lease * 0.1);
    expect(ownership.mayOwn()).toBe(false);
  });

  test("goes on beyond a node that was dead for a lease only: it may have been started again", async () => {
    answer = "dead";
    const ownership = owner({ others: () => [other("a")] });
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

describe("a node that has just joined", () => {
  test("is a newcomer for a lease, and again after its lease had run out in the registry", () => {
    const ownership = newcomer();
    expect(ownership.isNewcomer).toBe(true);
    pass(lease * 0.9);
    ownership.renewed(time);
    expect(ownership.isNewcomer).toBe(true);
    pass(lease * 0.1);
    expect(ownership.isNewcomer).toBe(false);
    ownership.renewed(time);
    ownership.rejoined();
    expect(ownership.isNewcomer).toBe(true);
    expect(newcomer({ policy: "reject" }).isNewcomer).toBe(false);
  });

  test("does not go on by promises before it has listed the nodes since it joined: it knows nobody to ask", async () => {
    answer = "promised";
    const ownership = newcomer({ others: () => [other("a")] });
    ownership.listed(time.monotonic - 1);
    await ownership.notRenewed();
    expect(ownership.isPromised).toBe(false);
    pass(lease);
    expect(ownership.mayOwn()).toBe(false);

    const later = newcomer({ others: () => [other("a")] });
    pass(lease * 0.9);
    later.renewed(time);
    pass(lease * 0.1);
    later.listed(time.monotonic);
    await later.notRenewed();
    pass(lease * 0.9);
    expect(later.mayOwn()).toBe(true);
  });
});

describe("whether the registry is gone for everybody", () => {
  test("is true while every other node promises, and where there is no other", async () => {
    const ownership = owner({ others: () => [other("a")] });
    const told = vi.fn();
    ownership.onPromised(told);
    expect(ownership.isPromised).toBe(false);
    await ownership.notRenewed();
    expect(ownership.isPromised).toBe(false);
    expect(told).not.toHaveBeenCalled();
    pass(renew);
    answer = "promised";
    await ownership.notRenewed();
    expect(ownership.isPromised).toBe(true);
    expect(told).toHaveBeenCalledTimes(1);
    pass(lease);
    expect(ownership.isPromised).toBe(false);

    const alone = owner();
    await alone.notRenewed();
    expect(alone.isPromised).toBe(true);
    alone.renewed(time);
    expect(alone.isPromised).toBe(false);
    expect(owner({ policy: "reject" }).isPromised).toBe(true);
  });

  test("is asked as soon as a write fails or is late, and then often until all have promised", async () => {
    vi.useFakeTimers();
    try {
      const askPromise = vi.fn(async () => answer);
      const askLease = vi.fn();
      const ownership = owner({ others: () => [other("a")], askPromise, askLease });
      const wait = async (ms: number) => {
        pass(ms);
        await vi.advanceTimersByTimeAsync(ms);
      };
      let end = (_written: string): void => {};
      const watched = ownership.watch(
        new Promise<string>((resolve) => {
          end = resolve;
        }),
      );
      await wait(90);
      expect(askPromise).not.toHaveBeenCalled();
      await wait(20);
      expect([askPromise, askLease].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
      ownership.doubt();
      await wait(renew / 4);
      await wait(renew / 4);
      expect(askPromise).toHaveBeenCalledTimes(3);
      answer = "promised";
      await wait(renew / 4);
      expect(ownership.isPromised).toBe(true);
      await wait(renew / 2);
      expect(askPromise).toHaveBeenCalledTimes(4);
      await wait(renew / 2);
      expect(askPromise).toHaveBeenCalledTimes(5);
      end("written");
      expect(await watched).toBe("written");
      ownership.renewed(time);
      await wait(lease / 2);
      expect(askPromise).toHaveBeenCalledTimes(5);
      await expect(ownership.watch(Promise.reject(new Error("away")))).rejects.toThrow("away");
      expect(askPromise).toHaveBeenCalledTimes(6);
      ownership.stop();
      await wait(renew);
      expect(askPromise).toHaveBeenCalledTimes(6);
    } finally {
      vi.useRealTimers();
    }
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
