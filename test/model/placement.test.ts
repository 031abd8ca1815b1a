import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Leaving, type Place, place } from "../../src/model/placement.ts";

const up = (tag: string, load = 0): Place => ({ tag, state: "up", load });
const draining = (tag: string, load = 0): Place => ({ tag, state: "draining", load });
const guest = (home = "gone", ...barred: string[]): Leaving => ({ home, barred: new Set(barred) });

describe("a session that leaves its node", () => {
  test("goes to its home if that is up, however much it has", () => {
    expect(place(guest("a"), [up("a", 500), up("b")], "own")).toEqual({ kind: "home", to: "a" });
  });

  test("goes elsewhere when its home drains, or can't take it", () => {
    expect(place(guest("a"), [draining("a"), up("b", 9)], "own")).toEqual({ kind: "spread", to: "b" });
    expect(place(guest("a", "a"), [up("a"), up("b", 9)], "own")).toEqual({ kind: "spread", to: "b" });
  });

  test("never goes where it is, though that is its home", () => {
    expect(place(guest("own"), [up("own"), up("b", 9)], "own")).toEqual({ kind: "spread", to: "b" });
  });

  test("stays, with the reason, where nobody can take it", () => {
    expect(place(guest(), [up("own"), draining("b")], "own")).toEqual({ kind: "stay", why: "nobody-up" });
    expect(place(guest("gone", "b"), [up("b")], "own")).toEqual({ kind: "stay", why: "all-barred" });
  });
});

test("sessions without a home that is up fill the nodes evenly, whatever these had before", () => {
  const loads = fc.array(fc.nat(40), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(loads, fc.nat(200), (had, many) => {
      const members = had.map((load, at) => up(`n${at}`, load));
      const has = new Map(members.map(({ tag, load }) => [tag, load]));
      for (let left = many; left > 0; left -= 1) {
        const now = members.map(({ tag }) => up(tag, has.get(tag)));
        const placed = place(guest(), now, "own");
        if (placed.kind !== "stay") has.set(placed.to, (has.get(placed.to) as number) + 1);
      }
      const grown = members
        .filter(({ tag, load }) => (has.get(tag) as number) > load)
        .map(({ tag }) => has.get(tag) ?? 0);
      expect(Math.max(0, ...grown)).toBeLessThanOrEqual(Math.min(...has.values()) + 1);
    }),
  );
});

test("no session is placed at its own node, at one that drains, or at one that can't take it", () => {
  const tags = ["own", "a", "b", "c"];
  const member = fc.record({
    tag: fc.constantFrom(...tags),
    state: fc.constantFrom("up" as const, "draining" as const),
    load: fc.nat(9),
  });
  const leaving = fc.record({
    home: fc.constantFrom(...tags),
    barred: fc.array(fc.constantFrom(...tags)).map((barred) => new Set(barred)),
  });
  const members = fc.uniqueArray(member, { selector: ({ tag }) => tag });
  fc.assert(
    fc.property(leaving, members, (session, known) => {
      const placed = place(session, known, "own");
      const may = known.filter(({ tag, state }) => tag !== "own" && state === "up" && !session.barred.has(tag));
      if (placed.kind === "stay") expect(may).toEqual([]);
      else expect(may.map(({ tag }) => tag)).toContain(placed.to);
    }),
    { numRuns: 1_000 },
  );
});
