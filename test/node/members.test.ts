import { afterEach, beforeEach, expect, test } from "vitest";
import { Members } from "../../src/node/members.ts";
import type { NodeRecord, Registry } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { FailingNodes } from "./failing-nodes.ts";

function record(name: string, overrides: Partial<NodeRecord> = {}): NodeRecord {
  const url = "http://127.0.0.1:3001";
  return { name, tag: `t-${name}`, incarnation: "first", url, state: "up", pid: 1, since: 0, ...overrides };
}

const own = record("own");
/** So rarely that what a test sees before it comes from what the registry told. */
const rarely = 60_000;

let store: MemoryStore;
let registry: FailingNodes;
let others: Registry;
let members: Members;

beforeEach(async () => {
  store = new MemoryStore();
  registry = new FailingNodes({ store });
  others = new MemoryRegistry({ store });
  await Promise.all([registry.start(), others.start()]);
  await registry.join(own, 60_000);
});
afterEach(() => members.stop());

async function follow(renew: number): Promise<void> {
  members = new Members({ registry, ownTag: own.tag, renew, goneAfter: 60_000 });
  await members.start();
}

const names = () => members.all().map(({ name }) => name);

test("from the start the table has the nodes that are there, its own included", async () => {
  await others.join(record("b"), 60_000);
  await others.join(record("a", { state: "draining" }), 60_000);
  await follow(rarely);
  expect(names()).toEqual(["a", "b", "own"]);
  expect(members.byTag("t-a")).toEqual(record("a", { state: "draining" }));
  expect(members.byTag("t-nobody")).toBeUndefined();
});

test("who joins, changes its state or leaves is known at once, and each change is told once", async () => {
  await follow(rarely);
  const told: string[] = [];
  const stop = members.onChange(() =>
    told.push(
      members
        .all()
        .map(({ name, state }) => `${name} ${state}`)
        .join(),
    ),
  );
  await others.join(record("a"), 60_000);
  await eventually(() => expect(told).toEqual(["a up,own up"]), 1_000);
  await others.join(record("a", { state: "draining" }), 60_000);
  await eventually(() => expect(told).toHaveLength(2), 1_000);
  await others.leave(record("a"));
  await eventually(() => expect(told).toEqual(["a up,own up", "a draining,own up", "own up"]), 1_000);
  stop();
  await others.join(record("a"), 60_000);
  await eventually(() => expect(members.byTag("t-a")).toBeDefined(), 1_000);
  expect(told).toHaveLength(3);
});

test("who dies is gone by its lease, and who goes unheard is found by asking", async () => {
  await others.join(record("dying"), 300);
  await follow(50);
  expect(names()).toEqual(["dying", "own"]);
  const before = performance.now();
  await eventually(() => expect(names()).toEqual(["own"]), 2_000);
  expect(performance.now() - before).toBeLessThan(300 + 50 + 500);
});

test("a registry that does not answer never empties the table", async () => {
  await others.join(record("a"), 200);
  await follow(20);
  registry.failing = true;
  const calls = registry.calls;
  await eventually(() => expect(registry.calls).toBeGreaterThan(calls + 20));
  expect(names()).toEqual(["a", "own"]);
  registry.failing = false;
  await eventually(() => expect(names()).toEqual(["own"]));
});

test("a change that is told while the registry is asked is not missed", async () => {
  await follow(rarely);
  const held = registry.hold();
  const looking = members.look();
  await others.join(record("a"), 60_000);
  held.release();
  await looking;
  await eventually(() => expect(names()).toEqual(["a", "own"]), 1_000);
});

test("whose lease ran out may live, and is known on; who left is not, and that is known too", async () => {
  await others.join(record("lapsed"), 300);
  const left = record("left", { incarnation: "left" });
  await others.join(left, 60_000);
  await follow(50);
  const known = () => members.known().map(({ name }) => name);
  expect(known().sort()).toEqual(["lapsed", "left", "own"]);
  await eventually(() => expect(names()).toEqual(["left", "own"]), 2_000);
  await others.leave(left);
  await eventually(() => expect(names()).toEqual(["own"]), 2_000);
  expect(known().sort()).toEqual(["lapsed", "own"]);
  expect(members.knownAs(record("lapsed"))).toEqual(record("lapsed"));
  expect(members.knownAs(record("lapsed", { incarnation: "second" }))).toBeUndefined();
  expect([members.hasLeft("left"), members.hasLeft("first")]).toEqual([true, false]);
});

test("after this node joined again, the others have the time to do so", async () => {
  await others.join(record("a"), 60_000);
  await follow(rarely);
  store.lose();
  members.lapsed();
  await registry.join(own, 60_000);
  await members.look();
  expect(names()).toEqual(["a", "own"]);
});

test("one that was stopped asks and tells no more", async () => {
  await follow(20);
  const told: string[] = [];
  members.onChange(() => told.push("change"));
  await members.stop();
  const { calls } = registry;
  await others.join(record("a"), 60_000);
  await others.leave(record("a"));
  const until = performance.now() + 100;
  await eventually(() => expect(performance.now()).toBeGreaterThan(until));
  expect(registry.calls).toBe(calls);
  expect(told).toEqual([]);
});
