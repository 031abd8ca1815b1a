import { describe, expect, it } from "vitest";
import type { StateOptions } from "../../src/session/session-context.ts";
import { SessionState } from "../../src/session/state.ts";
import { StateError } from "../../src/session/state-error.ts";

interface Cart {
  items: { id: string; qty: number }[];
  note?: unknown;
}

/** A state that has begun, with a clock that stands still, and what was written of it. */
function begin(stored: Record<string, string> = {}) {
  let now = 0;
  let touches = 0;
  const written: Record<string, string> = { ...stored };
  const state = new SessionState({
    stored,
    onTouched: () => {
      touches += 1;
    },
    now: () => now,
  });
  return {
    state,
    written,
    touches: () => touches,
    pass(ms: number) {
      now += ms;
    },
    /** As before each message: what has changed is written. Gives the keys. */
    message(): string[] {
      const changes = state.changes();
      if (changes === undefined) return [];
      Object.assign(written, changes);
      state.kept(changes);
      return Object.keys(changes);
    },
  };
}

function failure(act: () => unknown): StateError {
  try {
    act();
  } catch (error) {
    if (error instanceof StateError) return error;
    throw error;
  }
  throw new Error("It did not fail.");
}

const empty = (): Cart => ({ items: [] });
const apple = { id: "apple", qty: 1 };

describe("what changed has to be kept before the next message", () => {
  it("nothing, while values are only declared and primitives read", () => {
    const { state, touches } = begin();
    const count = state.cell("count", 0);
    state.cell("cart", empty());
    state.begun();
    expect(count.value).toBe(0);
    expect(state.mayHaveChanged).toBe(false);
    expect(state.changes()).toBeUndefined();
    expect(touches()).toBe(0);
  });

  it("what was assigned, once", () => {
    const { state, written, message, touches } = begin();
    const count = state.cell("count", 0);
    state.begun();
    count.value += 1;
    expect(touches()).toBe(1);
    expect(state.mayHaveChanged).toBe(true);
    expect(message()).toEqual(["count"]);
    expect(written).toEqual({ count: '{"d":1}' });
    expect(state.mayHaveChanged).toBe(false);
  });

  it("nothing, when it is what it was", () => {
    const { state, message } = begin();
    const count = state.cell("count", 0);
    const cart = state.cell("cart", empty());
    state.begun();
    count.value += 1;
    count.value -= 1;
    cart.value = empty();
    cart.value.items.push(apple);
    cart.value.items.pop();
    expect(message()).toEqual([]);
  });

  it("what was changed in place, and only that", () => {
    const { state, written, message } = begin();
    const cart = state.cell("cart", empty());
    const other = state.cell("other", empty());
    state.begun();
    expect(other.value.items).toEqual([]);
    cart.value.items.push({ ...apple });
    expect(message()).toEqual(["cart"]);
    expect(message()).toEqual([]);
    (cart.value.items[0] as { qty: number }).qty = 2;
    expect(message()).toEqual(["cart"]);
    expect(JSON.parse(written.cart as string)).toEqual({ d: { items: [{ id: "apple", qty: 2 }] } });
  });

  it("an object of the server's own, which it changes after it assigned it", () => {
    const { state, written, message } = begin();
    const cart = state.cell<Cart>("cart", empty());
    state.begun();
    const mine = empty();
    cart.value = mine;
    expect(message()).toEqual([]);
    mine.items.push(apple);
    expect(message()).toEqual(["cart"]);
    expect(written.cart).toContain("apple");
  });

  it("the order of an object's keys, by which a cache may live", () => {
    const { state, message } = begin();
    const cache = state.cell<Record<string, number>>("cache", { a: 1, b: 2 });
    state.begun();
    delete cache.value.a;
    cache.value.a = 1;
    expect(message()).toEqual(["cache"]);
  });

  it("again, until it is known to be written", () => {
    const { state } = begin();
    const count = state.cell("count", 0);
    state.begun();
    count.value = 1;
    const first = state.changes() ?? {};
    expect(first).toEqual({ count: '{"d":1}' });
    expect(state.changes()).toEqual(first);
    count.value = 2;
    const second = state.changes() ?? {};
    state.kept(first);
    expect(state.changes()).toEqual({ count: '{"d":2}' });
    state.kept(second);
    expect(state.mayHaveChanged).toBe(true);
    state.kept(state.changes() ?? {});
    expect(state.mayHaveChanged).toBe(false);
  });

  it("what is as it was before a write that is still under way", () => {
    const { state } = begin();
    const count = state.cell("count", 0);
    state.begun();
    count.value = 1;
    const first = state.changes() ?? {};
    count.value = 0;
    expect(state.changes()).toEqual({ count: '{"d":0}' });
    state.kept(first);
    expect(state.changes()).toEqual({ count: '{"d":0}' });
  });
});

describe("a held reference loses no change", () => {
  it("over the awaits of a call", () => {
    const { state, message, pass } = begin();
    const cart = state.cell("cart", empty());
    state.begun();
    const { items } = cart.value;
    for (let step = 1; step <= 3; step += 1) {
      pass(60_000);
      items.push(apple);
      expect(message()).toEqual(["cart"]);
    }
  });

  it("in work that goes on after the answer left, for ten seconds and until then nothing else was found", () => {
    const { state, message, pass } = begin();
    const cart = state.cell("cart", empty());
    state.begun();
    const { items } = cart.value;
    message();
    state.noCallRuns();
    pass(3_000);
    message();
    state.noCallRuns();
    pass(3_000);
    items.push(apple);
    expect(message()).toEqual(["cart"]);
  });

  it("for good, once it was seen to be held", () => {
    const { state, message, pass } = begin();
    const cart = state.cell("cart", empty());
    state.begun();
    const { items } = cart.value;
    message();
    state.noCallRuns();
    items.push(apple);
    for (let hour = 1; hour <= 3; hour += 1) {
      expect(message()).toEqual(["cart"]);
      state.noCallRuns();
      pass(3_600_000);
      message();
      state.noCallRuns();
      items.push(apple);
    }
  });

  it("for good, when it was taken while the server was made", () => {
    const { state, message, pass } = begin();
    const { items } = state.cell("cart", empty()).value;
    state.begun();
    for (let hour = 1; hour <= 3; hour += 1) {
      message();
      state.noCallRuns();
      pass(3_600_000);
      message();
      state.noCallRuns();
      items.push(apple);
      expect(message()).toEqual(["cart"]);
    }
  });

  it("for as long as a task runs", () => {
    const { state, message, pass, touches } = begin();
    const cart = state.cell("cart", empty());
    state.begun();
    state.taskBegan();
    const { items } = cart.value;
    for (let hour = 1; hour <= 3; hour += 1) {
      message();
      state.noCallRuns();
      pass(3_600_000);
      items.push(apple);
      expect(message()).toEqual(["cart"]);
    }
    items.push(apple);
    const before = touches();
    state.taskEnded();
    expect(touches()).toBe(before + 1);
    expect(message()).toEqual(["cart"]);
  });

  it("and costs nothing any more, ten seconds after it was needed", () => {
    const { state, message, pass } = begin();
    const cart = state.cell("cart", empty());
    state.begun();
    expect(cart.value.items).toEqual([]);
    message();
    state.noCallRuns();
    expect(state.mayHaveChanged).toBe(true);
    pass(10_000);
    message();
    state.noCallRuns();
    expect(state.mayHaveChanged).toBe(false);
  });

  it("is looked for soon after a touch, then more and more rarely, then not at all", () => {
    const { state, message, pass } = begin();
    const cart = state.cell("cart", empty());
    state.begun();
    expect(state.lookAgainMs).toBeUndefined();
    expect(cart.value.items).toEqual([]);
    const waits: number[] = [];
    for (let wait = state.lookAgainMs; wait !== undefined; wait = state.lookAgainMs) {
      waits.push(wait);
      pass(wait);
      message();
      state.noCallRuns();
    }
    expect(waits).toEqual([100, 100, 100, 200, 400, 800, 1_600, 3_200, 6_400]);
  });
});

describe("what can't be kept is refused", () => {
  class Point {
    x = 1;
  }
  const loop: { self?: unknown } = {};
  loop.self = loop;
  let deep: unknown = 1;
  for (let level = 0; level < 600; level += 1) deep = [deep];

  it.each([
    ["a function", () => {}, "a function"],
    ["a symbol", Symbol("s"), "a symbol"],
    ["a bigint", 1n, "a bigint"],
    ["undefined", undefined, "undefined"],
    ["NaN", Number.NaN, "NaN"],
    ["Infinity", Number.NEGATIVE_INFINITY, "-Infinity"],
    ["a Date", new Date(), "a Date"],
    ["a Map", new Map(), "a Map"],
    ["a Set", new Set(), "a Set"],
    ["a Promise", Promise.resolve(), "a Promise"],
    ["binary data", Buffer.from("x"), "binary data"],
    ["an instance of a class", new Point(), "an instance of Point"],
    ["an array of a class of its own", new (class Row extends Array {})(), "an instance of Row"],
    ["an array with holes", new Array(1), "undefined"],
    ["what contains itself", loop, "a part of itself"],
    ["what is nested without end", deep, "deep"],
  ])("%s: assigned, changed in place, and as the first value", (_name, bad, what) => {
    const { state, message, written } = begin();
    const cart = state.cell<Cart>("cart", empty());
    state.begun();
    cart.value.items.push(apple);
    message();

    const assigned = failure(() => {
      cart.value = { items: [{ ...apple, when: [0, bad] } as (typeof cart.value.items)[0]] };
    });
    expect(assigned).toMatchObject({ code: "not-json", key: "cart" });
    expect(assigned.message).toContain('Session state "cart"');
    expect(assigned.message).toContain(what);
    if (bad !== deep) expect(assigned.message).toContain("value.items[0].when[1]");
    expect(cart.value).toEqual({ items: [apple] });

    cart.value.note = { "a b": bad };
    const inPlace = failure(() => state.changes());
    expect(inPlace).toMatchObject({ code: "not-json", key: "cart" });
    if (bad !== deep) expect(inPlace.message).toContain('value.note["a b"]');
    expect(cart.value).toEqual({ items: [apple] });
    expect(message()).toEqual([]);
    cart.value.items.push(apple);
    expect(message()).toEqual(["cart"]);
    expect(JSON.parse(written.cart as string)).toEqual({ d: { items: [apple, apple] } });

    expect(failure(() => state.cell("first", { bad }))).toMatchObject({ code: "not-json", key: "first" });
  });

  it("a property named __proto__, which would change what the value is", () => {
    const { state } = begin();
    const cell = state.cell<unknown>("cell", null);
    const bad: unknown = JSON.parse('{"__proto__": {"admin": true}}');
    expect(failure(() => (cell.value = bad)).message).toContain("value.__proto__");
  });

  it("and what else has changed is given by the next look", () => {
    const { state, message } = begin();
    const one = state.cell<Cart>("one", empty());
    const two = state.cell("two", 0);
    state.begun();
    one.value.note = new Date();
    two.value = 1;
    failure(() => state.changes());
    expect(message()).toEqual(["two"]);
  });

  it("a value larger than 1 MiB as JSON, assigned or in place, and none that is smaller", () => {
    const { state, message } = begin();
    const cell = state.cell("text", "");
    const list = state.cell<string[]>("list", []);
    state.begun();
    const mib = 1024 * 1024;
    cell.value = "x".repeat(mib - 2);
    expect(failure(() => (cell.value = "x".repeat(mib - 1)))).toMatchObject({ code: "too-large", key: "text" });
    // Two bytes a character.
    expect(failure(() => (cell.value = "é".repeat(mib / 2)))).toMatchObject({ code: "too-large" });
    message();
    list.value.push("x".repeat(mib));
    expect(failure(() => state.changes())).toMatchObject({ code: "too-large", key: "list" });
    expect(list.value).toEqual([]);
  });

  it("what is small in memory and endless as JSON, without writing it out", () => {
    const { state } = begin();
    let doubled: unknown = ["x"];
    for (let level = 0; level < 60; level += 1) doubled = [doubled, doubled];
    const cell = state.cell<unknown>("cell", null);
    expect(failure(() => (cell.value = doubled))).toMatchObject({ code: "too-large" });
  });

  it("more than 4 MiB in all of a session, with what was kept before", () => {
    const half = "x".repeat(512 * 1024);
    const { state, message } = begin({ old: JSON.stringify({ d: half }) });
    const cells = Array.from({ length: 7 }, (_, n) => state.cell(`part ${n}`, ""));
    state.begun();
    const last = cells.pop();
    for (const cell of cells) cell.value = half;
    expect(message()).toHaveLength(6);
    const error = failure(() => ((last as { value: string }).value = half));
    expect(error).toMatchObject({ code: "too-large", key: "part 6" });
    expect(error.message).toContain("4 MiB");
    (cells[0] as { value: string }).value = "";
    message();
    (last as { value: string }).value = half;
    expect(message()).toEqual(["part 6"]);
  });

  it.each(["", "mooring.tasks", "__proto__"])("the key %j", (key) => {
    expect(failure(() => begin().state.cell(key, 0))).toMatchObject({ code: "key" });
  });
});

describe("state that was kept is given back", () => {
  it("as it was, and the first value is not used", () => {
    const before = begin();
    before.state.cell("count", 0).value = 7;
    before.state.cell<Cart>("cart", empty()).value.items.push(apple);
    before.message();
    const after = begin(before.written);
    expect(after.state.cell("count", 0).value).toBe(7);
    expect(after.state.cell("cart", empty()).value).toEqual({ items: [apple] });
    expect(after.message()).toEqual([]);
  });

  it("a key that the code no longer declares stays, also when the code meets it later", () => {
    const { state, message, written } = begin({ old: '{"d":1}' });
    state.begun();
    state.cell("new", 0).value = 1;
    expect(message()).toEqual(["new"]);
    expect(written.old).toBe('{"d":1}');
    expect(state.cell("old", 0).value).toBe(1);
  });

  it("all of it, when what was kept is lost", () => {
    const { state, message } = begin({ old: '{"d":1}', count: '{"v":2,"d":{"n":1}}' });
    const count = state.cell("count", { n: 0 }, { version: 2 });
    state.cell("untouched", 0);
    state.begun();
    state.lost();
    const changes = state.changes() ?? {};
    expect(changes).toEqual({ old: '{"d":1}', count: '{"v":2,"d":{"n":1}}' });
    expect(state.changes()).toEqual(changes);
    count.value.n = 2;
    expect(message().sort()).toEqual(["count", "old"]);
    expect(message()).toEqual([]);
  });

  it("of an older version: migrated once, and that is a change", () => {
    const stored = { cart: '{"d":["apple"]}' };
    const options: StateOptions<Cart> = {
      version: 2,
      migrate: (value, from) => {
        expect(from).toBe(0);
        return { items: (value as string[]).map((id) => ({ id, qty: 1 })) };
      },
    };
    const { state, message, written, touches } = begin(stored);
    const cart = state.cell("cart", empty(), options);
    state.begun();
    expect(touches()).toBe(1);
    expect(state.lookAgainMs).toBe(100);
    expect(message()).toEqual(["cart"]);
    expect(written.cart).toBe('{"v":2,"d":{"items":[{"id":"apple","qty":1}]}}');
    expect(cart.value.items).toEqual([apple]);
    const again = begin(written);
    expect(again.state.cell("cart", empty(), options).value.items).toEqual([apple]);
    expect(again.message()).toEqual([]);
  });

  it("also when only its version changes", () => {
    const { state, message, written } = begin({ count: '{"v":1,"d":5}' });
    state.cell("count", 0, { version: 2, migrate: (value) => value as number });
    expect(message()).toEqual(["count"]);
    expect(written.count).toBe('{"v":2,"d":5}');
  });

  it("not by code that can't read it, and nothing is changed by the attempt", () => {
    const { state, message, written } = begin({ newer: '{"v":3,"d":0}', older: '{"v":1,"d":0}', broken: "{" });
    expect(failure(() => state.cell("newer", 0, { version: 2, migrate: () => 0 })).message).toContain("newer version");
    expect(failure(() => state.cell("older", 0, { version: 2 })).message).toContain("migrate(value, fromVersion)");
    const failing: StateOptions<number> = {
      version: 2,
      migrate: () => {
        throw new Error("no idea");
      },
    };
    expect(failure(() => state.cell("older", 0, failing)).message).toContain("no idea");
    const wrong = { version: 2, migrate: () => new Date() as unknown as number };
    expect(failure(() => state.cell("older", 0, wrong))).toMatchObject({ code: "not-json" });
    expect(failure(() => state.cell("broken", 0))).toMatchObject({ code: "unreadable" });
    expect(message()).toEqual([]);
    expect(written.older).toBe('{"v":1,"d":0}');
    expect(state.cell("older", 0, { version: 1 }).value).toBe(0);
  });
});

describe("a key is declared", () => {
  it("with a default that sessions don't share", () => {
    const shared = empty();
    const [one, two] = [begin(), begin()];
    one.state.cell("cart", shared).value.items.push(apple);
    expect(two.state.cell("cart", shared).value.items).toEqual([]);
    expect(shared.items).toEqual([]);
  });

  it("twice, for the same cell; but not with two versions", () => {
    const { state } = begin();
    const cell = state.cell("count", 0, { version: 1 });
    expect(state.cell("count", 5, { version: 1 })).toBe(cell);
    expect(failure(() => state.cell("count", 0))).toMatchObject({ code: "version", key: "count" });
    expect(failure(() => state.cell("other", 0, { version: 1.5 }))).toMatchObject({ code: "version" });
  });
});
