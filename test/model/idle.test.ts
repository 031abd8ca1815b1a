import { describe, expect, test } from "vitest";
import { idleness, roundMs, type Use } from "../../src/model/idle.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const times = { parkAfter: 15 * minute, sessionIdle: 30 * day };
const now = 1_760_000_000_000;

function use(idleMs: number, more: Partial<Use> = {}): Use {
  return {
    ...{
      lastSeenAt: now - idleMs,
      streams: 0,
      inFlight: 0,
      hasUnread: false,
      hasStartedTask: false,
      pinned: undefined,
    },
    ...{ canBeKept: true, ...more },
  };
}

describe("an idle session", () => {
  test("stays until its time has come, then leaves memory, and ends when nobody has come back", () => {
    expect(idleness(use(0), times, now)).toBe("stay");
    expect(idleness(use(15 * minute - 1), times, now)).toBe("stay");
    expect(idleness(use(15 * minute), times, now)).toBe("park");
    expect(idleness(use(30 * day - 1), times, now)).toBe("park");
    expect(idleness(use(30 * day), times, now)).toBe("expire");
  });

  test("never leaves memory where that is off, and ends all the same", () => {
    const never = { ...times, parkAfter: 0 };
    expect(idleness(use(day), never, now)).toBe("stay");
    expect(idleness(use(30 * day), never, now)).toBe("expire");
  });

  test.each<[string, Partial<Use>]>([
    ["a client may not have an answer, which only this copy knows of", { hasUnread: true }],
    ["a task goes on that its server started", { hasStartedTask: true }],
    ["it is pinned", { pinned: "a child process" }],
    ["it can't be written", { canBeKept: false }],
  ])("stays in memory while %s, and ends in its time", (_why, more) => {
    expect(idleness(use(day, more), times, now)).toBe("stay");
    expect(idleness(use(30 * day, more), times, now)).toBe("expire");
  });

  test.each<[string, Partial<Use>]>([
    ["has an open stream", { streams: 1 }],
    ["has a call in flight", { inFlight: 1 }],
  ])("is in use for as long as it %s", (_how, more) => {
    expect(idleness(use(0, more), times, now)).toBe("in-use");
    expect(idleness(use(365 * day, more), times, now)).toBe("in-use");
  });

  test("is not taken for idle when the clock was set back", () => {
    expect(idleness(use(-day), times, now)).toBe("stay");
  });
});

test("each session is looked at often enough for its times, and no more often than that", () => {
  expect(roundMs(times)).toBe(30_000);
  expect(roundMs({ parkAfter: 2_000, sessionIdle: day })).toBe(200);
  expect(roundMs({ parkAfter: 0, sessionIdle: minute })).toBe(6_000);
  expect(roundMs({ parkAfter: 1, sessionIdle: 2 })).toBe(100);
});
