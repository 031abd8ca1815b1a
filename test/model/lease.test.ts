import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  boundUntil,
  heldUntil,
  isOver,
  isPromised,
  isUnbound,
  mayOwn,
  type Promised,
  promisedBy,
  type Reading,
  renewed,
} from "../../src/model/lease.ts";

const lease = 5_000;
const start: Reading = { monotonic: 1_000, wall: 1_700_000_000_000 };

function later(ms: number, { wallSetBy = 0, slept = 0 }: { wallSetBy?: number; slept?: number } = {}): Reading {
  return { monotonic: start.monotonic + ms - slept, wall: start.wall + ms + wallSetBy };
}

function promised(askedAt: Reading): Promised {
  return { kind: "promised", until: heldUntil(askedAt, lease) };
}

describe("a lease", () => {
  test("gives the right to own sessions until it is over", () => {
    expect(mayOwn(renewed(start, lease), later(4_000))).toBe(true);
    expect(mayOwn(renewed(start, lease), later(5_000))).toBe(false);
  });

  test("is over for a machine that slept: its monotonic clock stood still", () => {
    expect(mayOwn(renewed(start, lease), later(60_000, { slept: 59_000 }))).toBe(false);
  });

  test("is over where the wall clock was set back", () => {
    expect(mayOwn(renewed(start, lease), later(5_000, { wallSetBy: -3_600_000 }))).toBe(false);
  });

  test("ends at its holder before it ends at its giver, though one clock is 2 % slow and the other 2 % fast", () => {
    const rate = fc.double({ min: 0.98, max: 1.02, noNaN: true });
    const leases = fc.integer({ min: 500, max: 60_000 });
    fc.assert(
      fc.property(rate, rate, leases, (holders, givers, leaseMs) => {
        const holderEnds = (heldUntil(start, leaseMs).monotonic - start.monotonic) / holders;
        const giverEnds = (boundUntil(start, leaseMs).monotonic - start.monotonic) / givers;
        expect(holderEnds).toBeLessThan(giverEnds);
      }),
    );
  });
});

describe("beyond the lease", () => {
  const right = renewed(start, lease);
  const asked = later(4_000);
  const now = later(6_000);

  test("nothing gives the right unless the others were asked", () => {
    expect(mayOwn(right, now)).toBe(false);
  });

  test("the promise of every other member does", () => {
    const promises = new Map([
      ["k3f9q2", promised(asked)],
      ["m4m4m4", promised(asked)],
    ]);
    expect(mayOwn(promisedBy(right, promises, now), now)).toBe(true);
  });

  test("one that is silent ends it, whatever the others promised", () => {
    const promises = new Map<string, Promised>([
      ["k3f9q2", promised(asked)],
      ["m4m4m4", { kind: "silent" }],
    ]);
    expect(mayOwn(promisedBy(right, promises, now), now)).toBe(false);
  });

  test("a promise ends by the clock that is first", () => {
    const promises = new Map([["k3f9q2", promised(asked)]]);
    expect(mayOwn(promisedBy(right, promises, now), later(9_000))).toBe(false);
    expect(mayOwn(promisedBy(right, promises, now), later(6_000, { wallSetBy: 10_000 }))).toBe(false);
  });

  test("a renewed lease needs no promise", () => {
    expect(mayOwn(renewed(later(4_000), lease), later(8_000))).toBe(true);
  });

  test("promises are told from the lease that still holds: only they say that nobody has the registry", () => {
    expect(isPromised(right, start)).toBe(false);
    const none = promisedBy(right, new Map<string, Promised>([["k3f9q2", { kind: "silent" }]]), start);
    expect([mayOwn(none, start), isPromised(none, start)]).toEqual([true, false]);
    const all = promisedBy(right, new Map([["k3f9q2", promised(start)]]), start);
    expect([isPromised(all, start), isPromised(all, later(5_000))]).toEqual([true, false]);
    expect(isPromised(renewed(later(100), lease), later(100))).toBe(false);
  });
});

describe("whoever gave a promise", () => {
  const until = boundUntil(start, lease);

  test("is bound until both clocks say that it is over", () => {
    expect(isUnbound(until, later(4_999))).toBe(false);
    expect(isUnbound(until, later(1_000, { wallSetBy: 3_600_000 }))).toBe(false);
    expect(isUnbound(until, later(60_000, { slept: 59_000 }))).toBe(false);
    expect(isUnbound(until, later(5_000))).toBe(true);
  });

  test("is bound at every moment in which the other one counts on it", () => {
    const moment = fc.record({
      ms: fc.integer({ min: 0, max: 20_000 }),
      wallSetBy: fc.integer({ min: -60_000, max: 60_000 }),
    });
    fc.assert(
      fc.property(moment, ({ ms, wallSetBy }) => {
        const now = later(ms, { wallSetBy });
        if (!isOver(heldUntil(start, lease), now)) expect(isUnbound(until, now)).toBe(false);
      }),
    );
  });
});
