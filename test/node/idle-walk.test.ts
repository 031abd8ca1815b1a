import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Idleness } from "../../src/model/idle.ts";
import { IdleWalk } from "../../src/node/idle-walk.ts";
import { ParkedSessions } from "../../src/node/parked-sessions.ts";
import type { Parking } from "../../src/node/parking.ts";
import type { Session } from "../../src/session/session.ts";

const minute = 60_000;
const times = { parkAfter: 15 * minute, sessionIdle: 60 * minute };

let sessions: Map<string, Session>;
let looks: string[];
let said: Idleness;
let used: string[];
let expired: string[];
let parked: ParkedSessions;
let walk: IdleWalk;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  sessions = new Map();
  for (let n = 0; n < 10_000; n += 1) sessions.set(`s${n}`, { id: `s${n}` } as Session);
  [looks, used, expired, said] = [[], [], [], "stay"];
  parked = new ParkedSessions();
  const parking: Pick<Parking, "idleness" | "park"> = {
    idleness: ({ id }) => {
      looks.push(id);
      return said;
    },
    park: async () => {},
  };
  walk = new IdleWalk({
    ...{ times, parked, parking: parking as Parking, size: () => sessions.size, sessions: () => sessions.values() },
    now: () => 100 * minute,
    session: (id) => sessions.get(id),
    inUse: ({ id }) => void used.push(id),
    expire: async () => {},
    expireParked: async (ids) => void expired.push(...ids),
  });
  walk.start();
});

afterEach(async () => {
  vi.useRealTimers();
  await walk.stop();
});

test("ten thousand sessions are looked at a hundred at a time, each once in half a minute", () => {
  let before = 0;
  let most = 0;
  for (let ms = 0; ms < 30_000; ms += 10) {
    vi.advanceTimersByTime(10);
    most = Math.max(most, looks.length - before);
    before = looks.length;
  }
  expect(most).toBe(100);
  expect(new Set(looks).size).toBe(10_000);
  expect(looks).toHaveLength(10_000);
});

test("those that come and go meanwhile are looked at, or not", () => {
  vi.advanceTimersByTime(15_000);
  for (let n = 5_000; n < 10_000; n += 2) sessions.delete(`s${n}`);
  sessions.set("new", { id: "new" } as Session);
  vi.advanceTimersByTime(45_000);
  expect(new Set(looks).has("new")).toBe(true);
  expect(new Set(looks).has("s9998")).toBe(false);
  expect(new Set(looks).has("s9999")).toBe(true);
});

test("what is in use counts as seen", () => {
  said = "in-use";
  vi.advanceTimersByTime(30_000);
  expect(used).toHaveLength(10_000);
});

test("parked sessions end in their time, too", async () => {
  parked.add("old", 40 * minute);
  for (let n = 0; n < 1_000; n += 1) parked.add(`p${n}`, 41 * minute);
  vi.advanceTimersByTime(30_000);
  expect(expired).toEqual(["old"]);
});

test("of parked sessions a bounded number is remembered, the oldest note goes first", () => {
  const few = new ParkedSessions(2);
  few.add("one", 1);
  few.add("two", 2);
  few.add("one", 3);
  few.add("three", 4);
  expect([...few.entries()]).toEqual([
    ["one", 3],
    ["three", 4],
  ]);
});
