import type { Reading } from "../model/lease.ts";

/** Time, as the parts of a node that act on it get it: tests put their own in its place. */
export interface Clock {
  /** Wall-clock time, in milliseconds since 1970. */
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** The time by both clocks: the given one, and one that nobody sets. */
export function readBoth(clock: Clock): Reading {
  return { monotonic: performance.now(), wall: clock.now() };
}
