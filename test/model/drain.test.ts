import { describe, expect, test } from "vitest";
import {
  type Departing,
  type DrainStep,
  type Gate,
  nextDrainStep,
  nextPace,
  startPace,
} from "../../src/model/drain.ts";

const never: Gate = { kind: "open", forMs: Number.POSITIVE_INFINITY };
const quiet: Departing = { callsInFlight: 0, gate: never, isPinned: false, isRegistryThere: true };
const busy: Departing = { ...quiet, callsInFlight: 1 };
const deadlineMs = 30_000;
const holdMs = 10_000;

function step(session: Departing, sinceMs: number): DrainStep {
  return nextDrainStep(session, { sinceMs, deadlineMs, holdMs });
}

const closed = (forMs: number): Gate => ({ kind: "closed", forMs });
const open = (forMs: number): Gate => ({ kind: "open", forMs });

describe("a session of a draining node", () => {
  test("moves in a moment without calls", () => {
    expect(step(quiet, 0)).toEqual({ kind: "move" });
    expect(step({ ...quiet, gate: closed(50) }, 50)).toEqual({ kind: "move" });
  });

  test("holds new calls for a short time to see those end that run, again and again", () => {
    expect(step(busy, 0)).toEqual({ kind: "hold" });
    expect(step({ ...busy, gate: closed(99) }, 99)).toEqual({ kind: "hold" });
    expect(step({ ...busy, gate: closed(100) }, 100)).toEqual({ kind: "wait", for: "calls" });
    expect(step({ ...busy, gate: open(500) }, 600)).toEqual({ kind: "wait", for: "calls" });
    expect(step({ ...busy, gate: open(900) }, 1_000)).toEqual({ kind: "hold" });
  });

  test("holds new calls until the deadline when that is near, for less than a request may wait", () => {
    expect(step({ ...busy, gate: open(1) }, 22_500)).toEqual({ kind: "hold" });
    expect(step({ ...busy, gate: closed(7_400) }, 29_900)).toEqual({ kind: "hold" });
    expect(step({ ...busy, gate: closed(7_500) }, 29_999)).toEqual({ kind: "wait", for: "calls" });
  });

  test("moves at the deadline whatever still runs", () => {
    expect(step(busy, 30_000)).toEqual({ kind: "cut" });
  });

  test("is never cut without a deadline", () => {
    const forever = { sinceMs: 1e9, deadlineMs: Number.POSITIVE_INFINITY, holdMs };
    expect(nextDrainStep(busy, forever)).toEqual({ kind: "hold" });
    expect(nextDrainStep({ ...busy, gate: closed(100) }, forever)).toEqual({ kind: "wait", for: "calls" });
  });

  test("that is pinned is served until the deadline, and ends then", () => {
    expect(step({ ...quiet, isPinned: true }, 29_999)).toEqual({ kind: "wait", for: "deadline" });
    expect(step({ ...busy, isPinned: true }, 30_000)).toEqual({ kind: "end" });
  });

  test("stays while the registry is away, beyond the deadline too", () => {
    for (const sinceMs of [0, 40_000]) {
      expect(step({ ...quiet, isRegistryThere: false }, sinceMs)).toEqual({ kind: "wait", for: "registry" });
      expect(step({ ...busy, isRegistryThere: false }, sinceMs)).toEqual({ kind: "wait", for: "registry" });
    }
  });
});

describe("the pace of moves", () => {
  /** When each of so many sessions began, asked every so many milliseconds. */
  function begins(many: number, { perSecond, endsAt = Number.POSITIVE_INFINITY, everyMs = 20 }: PaceTest): number[] {
    const at: number[] = [];
    let pace = startPace(0);
    for (let now = 0; at.length < many; now += everyMs) {
      const next = nextPace(pace, { now, perSecond, left: many - at.length, endsAt });
      pace = next.pace;
      for (let begun = 0; begun < next.begin; begun++) at.push(now);
    }
    return at;
  }

  interface PaceTest {
    readonly perSecond: number;
    readonly endsAt?: number;
    readonly everyMs?: number;
  }

  test("begins at once, and keeps to the rate", () => {
    const at = begins(501, { perSecond: 100 });
    expect(at[0]).toBe(0);
    expect(at[500]).toBeGreaterThanOrEqual(4_980);
    expect(at[500]).toBeLessThanOrEqual(5_020);
  });

  test("keeps to a rate of less than one in a second", () => {
    expect(begins(3, { perSecond: 0.5 })).toEqual([0, 2_000, 4_000]);
  });

  test("goes faster where the rate would not be done in time, and evenly", () => {
    const at = begins(1_000, { perSecond: 10, endsAt: 20_000 });
    expect(at.at(-1)).toBeLessThanOrEqual(20_000);
    expect(at[499]).toBeGreaterThan(9_000);
    expect(at[499]).toBeLessThan(11_000);
  });

  test("lets all begin when the time is over", () => {
    expect(nextPace(startPace(0), { now: 5_000, perSecond: 1, left: 700, endsAt: 5_000 }).begin).toBe(700);
  });

  test("makes up for no more than a moment that nobody asked in", () => {
    const { begin } = nextPace(startPace(0), {
      now: 60_000,
      perSecond: 100,
      left: 700,
      endsAt: Number.POSITIVE_INFINITY,
    });
    expect(begin).toBe(25);
  });
});
