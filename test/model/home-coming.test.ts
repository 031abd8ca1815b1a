import { describe, expect, test } from "vitest";
import { type Guest, type HomeNode, homeComings, nextUpSince, type UpSince } from "../../src/model/home-coming.ts";

const a: HomeNode = { tag: "a", incarnation: "a-1", state: "up" };

describe("a node is up without a break", () => {
  const known = nextUpSince(new Map(), [a], 1_000);

  test("since it was first listed so", () => {
    expect(nextUpSince(known, [a], 9_000)).toEqual(new Map([["a", { incarnation: "a-1", since: 1_000 }]]));
  });

  test.each<[string, readonly HomeNode[]]>([
    ["it drained", [{ ...a, state: "draining" }]],
    ["it was gone", []],
    ["another incarnation of it was there", [{ ...a, incarnation: "a-0" }]],
  ])("anew after %s", (_, meanwhile) => {
    const again = nextUpSince(nextUpSince(known, meanwhile, 5_000), [a], 6_000);
    expect(again.get("a")).toEqual({ incarnation: "a-1", since: 6_000 });
  });
});

describe("a session away from home", () => {
  const homes = new Map<string, UpSince>([["a", { incarnation: "a-1", since: 10_000 }]]);
  const times = { settleMs: 3_000, restMs: 5_000 };
  const guest: Guest = { id: "s", home: "a", since: 0 };
  const goes = (session: Guest, now: number) => homeComings([session], { homes, now, ...times }).length === 1;

  test("goes home when that has been up for a little while", () => {
    expect(goes(guest, 12_999)).toBe(false);
    expect(goes(guest, 13_000)).toBe(true);
  });

  test("stays while its home is not up", () => {
    expect(goes({ ...guest, home: "b" }, 99_000)).toBe(false);
  });

  test("stays for a while where it came a moment ago, so that it does not go to and fro", () => {
    expect(goes({ ...guest, since: 15_000 }, 19_999)).toBe(false);
    expect(goes({ ...guest, since: 15_000 }, 20_000)).toBe(true);
  });

  test("tries again only after a while", () => {
    expect(goes({ ...guest, triedAt: 20_000 }, 24_999)).toBe(false);
    expect(goes({ ...guest, triedAt: 20_000 }, 25_000)).toBe(true);
  });

  test("stays while its home is the incarnation that can't take it", () => {
    expect(goes({ ...guest, barredBy: "a-1" }, 99_000)).toBe(false);
    expect(goes({ ...guest, barredBy: "a-0" }, 99_000)).toBe(true);
  });

  test("goes before those that have been away for less long", () => {
    const guests = [9, 3, 7].map((since) => ({ ...guest, id: `s${since}`, since }));
    expect(homeComings(guests, { homes, now: 90_000, ...times }).map(({ id }) => id)).toEqual(["s3", "s7", "s9"]);
  });
});
