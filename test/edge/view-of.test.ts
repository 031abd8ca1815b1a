import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Knowledge, nothingKnown, type Observation, observe, viewOf } from "../../src/edge/view-of.ts";
import { tagOf } from "../../src/model/tag.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";

const times = { lease: 5_000, goneAfter: 50_000 };

function record(name: string, state: NodeRecord["state"] = "up", more: Partial<NodeRecord> = {}): NodeRecord {
  return { name, tag: tagOf(name), incarnation: "i", url: `http://${name}:3000`, state, pid: 1, since: 0, ...more };
}

const three = [record("a"), record("b"), record("c")];
const silence: Observation = { nodes: undefined };

/** What is known after looks at given times. */
function knownFrom(...looks: readonly (readonly [at: number, Observation | readonly NodeRecord[]])[]): Knowledge {
  return looks.reduce(
    (known, [at, look]) => observe(known, "nodes" in look ? look : { nodes: look as NodeRecord[] }, at, times),
    nothingKnown,
  );
}

/** Each node's state by its name. */
function states(known: Knowledge): Record<string, string> {
  return Object.fromEntries(viewOf(known)?.nodes.map(({ name, state }) => [name, state]) ?? []);
}

/** Whose name inherits the tag of a node. */
function heir(known: Knowledge, name: string): string | undefined {
  return viewOf(known)?.nodes.find(({ inherits }) => inherits?.includes(tagOf(name)))?.name;
}

describe("the cluster's view", () => {
  test("is none as long as no node was seen: an empty one would be a claim", () => {
    expect(viewOf(nothingKnown)).toBeUndefined();
    expect(viewOf(knownFrom([0, silence], [1, []]))).toBeUndefined();
  });

  test("says who is up and who drains, as they say themselves", () => {
    expect(states(knownFrom([0, [record("a"), record("b", "draining")]]))).toEqual({ a: "up", b: "draining" });
  });

  test("a node that is not in the registry any more is down at once", () => {
    const known = knownFrom([0, three], [1_000, three.slice(1)]);
    expect(states(known)).toEqual({ a: "down", b: "up", c: "up" });
    expect(heir(known, "a")).toBeUndefined();
  });

  test("a node that comes back, at another address even, is up again", () => {
    const known = knownFrom(
      [0, three],
      [1_000, three.slice(1)],
      [2_000, [record("a", "up", { url: "http://x:1" }), ...three.slice(1)]],
    );
    expect(viewOf(known)?.nodes[0]).toEqual({ name: "a", tag: tagOf("a"), url: "http://x:1", state: "up" });
  });

  test("a node that is known to have ended is down, whatever the registry still says, and also when it says nothing", () => {
    const ended = [tagOf("a")];
    expect(states(knownFrom([0, three], [1, { nodes: three, ended }]))).toEqual({ a: "down", b: "up", c: "up" });
    expect(states(knownFrom([0, three], [1, { nodes: undefined, ended }]))).toEqual({ a: "down", b: "up", c: "up" });
    expect(states(knownFrom([0, three], [1, { nodes: three, ended }], [2, three]))).toEqual({
      a: "up",
      b: "up",
      c: "up",
    });
  });

  test.each<[string, Partial<NodeRecord>]>([
    ["a tag that could end the rule that it stands in", { tag: "`) || Path(`/" }],
    ["an address without a scheme", { url: "10.0.0.1:3000" }],
    ["an address with a password", { url: "http://user:secret@host:3000" }],
    ["an address of another kind", { url: "file:///etc/passwd" }],
    ["a state that nobody knows", { state: "gone" as "up" }],
    ["no name", { name: "" }],
  ])("leaves a record out that has %s", (_what, more) => {
    expect(states(knownFrom([0, [record("a"), record("b", "up", more)]]))).toEqual({ a: "up" });
  });
});

describe("a registry that fails", () => {
  test("never empties the view, however long it is silent", () => {
    expect(states(knownFrom([0, three], [1_000, silence], [10_000_000, silence]))).toEqual({
      a: "up",
      b: "up",
      c: "up",
    });
  });

  test("that was emptied does not empty it either, and has a lease's time to fill again", () => {
    const emptied = knownFrom([0, three], [1_000, []], [1_500, []]);
    expect(states(emptied)).toEqual({ a: "up", b: "up", c: "up" });
    const filling = observe(emptied, { nodes: three.slice(0, 1) }, 2_000, times);
    expect(states(filling)).toEqual({ a: "up", b: "up", c: "up" });
    const settled = observe(filling, { nodes: three.slice(0, 2) }, 7_000, times);
    expect(states(settled)).toEqual({ a: "up", b: "up", c: "down" });
  });

  test("and is back: nodes have a lease's time to be seen again", () => {
    const back = knownFrom([0, three], [1_000, silence], [60_000, three.slice(1)]);
    expect(states(back)).toEqual({ a: "up", b: "up", c: "up" });
    expect(states(observe(back, { nodes: three.slice(1) }, 65_000, times))).toEqual({ a: "down", b: "up", c: "up" });
  });

  test("does not let the time run in which a missing node is gone for good", () => {
    const down = knownFrom([0, three], [1_000, three.slice(1)], [2_000, three.slice(1)], [3_000, silence]);
    const back = observe(down, { nodes: three.slice(1) }, 900_000, times);
    expect(states(back)).toEqual({ a: "down", b: "up", c: "up" });
    expect(heir(back, "a")).toBeUndefined();
  });
});

describe("a node that is gone for good", () => {
  const gone = knownFrom([0, three], [1_000, three.slice(1)], [51_000, three.slice(1)]);

  test("leaves the view after ten leases, and its tag goes to one live node", () => {
    expect(states(gone)).toEqual({ b: "up", c: "up" });
    expect(["b", "c"]).toContain(heir(gone, "a"));
    expect(viewOf(gone)?.nodes.filter(({ inherits }) => inherits !== undefined)).toHaveLength(1);
  });

  test("gets its tag back when it returns", () => {
    const back = observe(gone, { nodes: three }, 60_000, times);
    expect(states(back)).toEqual({ a: "up", b: "up", c: "up" });
    expect(heir(back, "a")).toBeUndefined();
  });

  test("is inherited anew when its heir drains or is gone too", () => {
    const first = heir(gone, "a") as string;
    const left = three.slice(1).map((node) => (node.name === first ? { ...node, state: "draining" as const } : node));
    const drained = observe(gone, { nodes: left }, 52_000, times);
    expect(heir(drained, "a")).toBe(first === "b" ? "c" : "b");
  });

  test("keeps its heir when another node joins, unless that one wins the tag", () => {
    const candidates = Array.from({ length: 20 }, (_, index) => record(`n-${index}`));
    const tags = Array.from({ length: 60 }, (_, index) => record(`old-${index}`));
    const before = knownFrom([0, [...tags, ...candidates]], [1_000, candidates], [60_000, candidates]);
    const joined = observe(before, { nodes: [...candidates, record("new")] }, 61_000, times);
    const moved = tags.filter(({ name }) => heir(before, name) !== heir(joined, name));
    expect(moved.length).toBeLessThan(15);
    expect(moved.every(({ name }) => heir(joined, name) === "new")).toBe(true);
    expect(new Set(tags.map(({ name }) => heir(before, name))).size).toBeGreaterThan(10);
  });

  test("of thousands the youngest are remembered", () => {
    let known = nothingKnown;
    for (let generation = 0; generation < 1_200; generation += 1) {
      known = observe(known, { nodes: [record("stays"), record(`g-${generation}`)] }, generation * 60_000, times);
      known = observe(known, { nodes: [record("stays")] }, generation * 60_000 + 1_000, times);
    }
    expect(known.gone.length).toBe(1_000);
    expect(known.nodes.size).toBeLessThan(4);
  });
});

test("whatever is seen, nobody is in the pool whom the registry did not name, and the pool is never emptied by silence", () => {
  const names = ["a", "b", "c", "d"];
  const look = fc.record({
    wait: fc.integer({ min: 0, max: 60_000 }),
    nodes: fc.option(fc.subarray(names), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(look, { maxLength: 30 }), (looks) => {
      let now = 0;
      let known = nothingKnown;
      const seen = new Set<string>();
      for (const { wait, nodes } of looks) {
        now += wait;
        const before = states(known);
        known = observe(known, { nodes: nodes?.map((name) => record(name)) }, now, times);
        for (const name of nodes ?? []) seen.add(name);
        if (nodes === undefined || nodes.length === 0) expect(states(known)).toEqual(before);
        for (const name of nodes ?? []) expect(states(known)[name]).toBe("up");
        for (const name of Object.keys(states(known))) expect(seen).toContain(name);
        for (const tag of known.gone) expect(known.nodes.has(tag)).toBe(false);
      }
    }),
  );
});
