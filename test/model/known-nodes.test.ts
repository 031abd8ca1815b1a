import { describe, expect, test } from "vitest";
import { type KnownNodes, knownAfterLeave, knownAfterList, nobodyKnown } from "../../src/model/known-nodes.ts";
import type { Member } from "../../src/model/membership.ts";

const node = (name: string, start = 1): Member => ({ name, tag: `t-${name}`, incarnation: `${name}-${start}` });
const times = { renewMs: 1_000, goneAfterMs: 50_000 };
const [a, b] = [node("a"), node("b")];

const names = ({ nodes }: KnownNodes<Member>) => [...nodes.values()].map(({ node: { name } }) => name).sort();

/** Lists of the registry, one a second. */
function lists(known: KnownNodes<Member>, listed: readonly Member[], from: number, to: number): KnownNodes<Member> {
  let next = known;
  for (let now = from; now <= to; now += 1_000) next = knownAfterList(next, { ...times, listed, now });
  return next;
}

const both = lists(nobodyKnown<Member>(), [a, b], 0, 0);

describe("a node that may live is known", () => {
  test("also when its lease ran out, until the registry has answered without it for long enough", () => {
    expect(names(lists(both, [a], 1_000, 49_000))).toEqual(["a", "b"]);
    expect(names(lists(both, [a], 1_000, 50_000))).toEqual(["a"]);
  });

  test("for as long as the registry is away: nobody can be in it", () => {
    const back = lists(both, [a], 3_600_000, 3_600_000);
    expect(names(back)).toEqual(["a", "b"]);
    expect(names(lists(back, [a], 3_601_000, 3_647_000))).toEqual(["a", "b"]);
  });

  test("by its last start", () => {
    const again = lists(both, [a, node("b", 2)], 1_000, 1_000);
    expect([...again.nodes.values()].map(({ node: { incarnation } }) => incarnation)).toEqual(["a-1", "b-2"]);
  });
});

describe("a node that left", () => {
  const left = knownAfterLeave(both, b);

  test("is known no more, also if an older list has it", () => {
    expect(names(left)).toEqual(["a"]);
    expect(names(lists(left, [a, b], 1_000, 1_000))).toEqual(["a"]);
    expect([...left.left]).toEqual(["b-1"]);
  });

  test("and started again is known by its new start, whichever of the two is told first", () => {
    const second = node("b", 2);
    expect(names(lists(left, [a, second], 1_000, 1_000))).toEqual(["a", "b"]);
    expect(names(knownAfterLeave(lists(both, [a, second], 1_000, 1_000), b))).toEqual(["a", "b"]);
  });
});

test("what is remembered of nodes that are gone is bounded, and a large cluster is known all the same", () => {
  const many = Array.from({ length: 3_000 }, (_, index) => node(String(index)));
  const all = lists(nobodyKnown<Member>(), many, 0, 0);
  expect(all.nodes.size).toBe(3_000);
  expect(lists(all, many.slice(0, 1_500), 1_000, 1_000).nodes.size).toBe(2_500);
  let left = all;
  for (const each of many) left = knownAfterLeave(left, each);
  expect([left.nodes.size, left.left.size]).toEqual([0, 1_000]);
  expect(left.left.has("2999-1")).toBe(true);
});
