import { afterEach, describe, expect, test } from "vitest";
import { Membership, type MembershipParts } from "../../src/node/membership.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { FailingNodes } from "./failing-nodes.ts";

/** A lease that a busy machine doesn't let run out by itself. */
const times = { lease: 1_000, renew: 100 };
/** What a busy machine may take for what should take no time. */
const leeway = 500;

function record(incarnation: string, overrides: Partial<NodeRecord> = {}): NodeRecord {
  const url = `http://127.0.0.1/${incarnation}`;
  return { name: "node-1", tag: "k3f9q2", incarnation, url, state: "up", pid: 1, since: 0, ...overrides };
}

/** Memberships of one cluster, all ended after each test. */
class Scene {
  readonly store = new MemoryStore();
  readonly log = new RecordedLog();
  readonly registry = new FailingNodes({ store: this.store });
  readonly lost: NodeRecord[] = [];
  readonly #made: Membership[] = [];

  async membership(node: NodeRecord, parts: Partial<MembershipParts> = {}): Promise<Membership> {
    let registry = parts.registry;
    if (registry === undefined) {
      registry = new MemoryRegistry({ store: this.store });
      await registry.start();
    }
    const made = new Membership({
      record: node,
      times,
      log: this.log,
      answers: async () => false,
      read: () => ({ monotonic: performance.now(), wall: Date.now() }),
      onRenewed: () => {},
      onNotRenewed: () => {},
      onLapsed: () => {},
      onRejoined: () => {},
      onLost: (to) => this.lost.push(to),
      ...parts,
      registry,
    });
    this.#made.push(made);
    return made;
  }

  /** What the registry has, as another node sees it. */
  nodes(): readonly NodeRecord[] {
    return this.store.nodes(Date.now());
  }

  async end(): Promise<void> {
    await Promise.all(this.#made.map((membership) => membership.leave()));
  }
}

let scene = new Scene();
afterEach(async () => {
  await scene.end();
  scene = new Scene();
});

/** A former life of a node that crashed: its lease still runs. */
async function crashed(node: NodeRecord, leaseMs = times.lease): Promise<number> {
  const registry = new MemoryRegistry({ store: scene.store });
  await registry.start();
  await registry.join(node, leaseMs);
  return performance.now();
}

describe("a node whose name is held", () => {
  test("takes it over within one lease after a crash", async () => {
    const at = await crashed(record("first"));
    const second = await scene.membership(record("second"));
    await second.join();
    const took = performance.now() - at;
    expect(took).toBeGreaterThan(times.lease - 20);
    expect(took).toBeLessThan(times.lease + leeway);
    expect(scene.nodes()).toEqual([record("second")]);
    expect(scene.log.of("node-waiting")).toMatchObject([{ heldBy: { url: record("first").url } }]);
  });

  test("joins at once when the former node left", async () => {
    const first = await scene.membership(record("first"));
    await first.join();
    await first.leave();
    const before = performance.now();
    const second = await scene.membership(record("second"));
    await second.join();
    expect(performance.now() - before).toBeLessThan(leeway);
  });

  test("is refused at once when the other answers, with both addresses", async () => {
    await crashed(record("first"), 60_000);
    const asked: NodeRecord[] = [];
    const second = await scene.membership(record("second"), {
      answers: async (node) => asked.push(node) === 1,
    });
    const joining = second.join();
    await expect(joining).rejects.toMatchObject({ name: "NameTakenError", code: "name-taken" });
    await expect(joining).rejects.toThrow(record("first").url);
    await expect(joining).rejects.toThrow(record("second").url);
    expect(asked).toEqual([record("first")]);
    expect(scene.nodes()).toEqual([record("first")]);
  });

  test("is refused when the other can't be asked but renews its lease", async () => {
    const first = await scene.membership(record("first"));
    await first.join();
    const second = await scene.membership(record("second"));
    await expect(second.join()).rejects.toMatchObject({
      code: "name-taken",
      message: expect.stringContaining("renews"),
    });
    expect(scene.nodes()).toEqual([record("first")]);
    expect(scene.lost).toEqual([]);
  });

  test("by a node of another name with the same tag, is refused at once with both names", async () => {
    await crashed(record("first", { name: "node-12345" }), 60_000);
    const second = await scene.membership(record("second"), {
      answers: () => Promise.reject(new Error("nobody need be asked")),
    });
    const joining = second.join();
    await expect(joining).rejects.toMatchObject({ code: "tag-taken" });
    await expect(joining).rejects.toThrow('"node-12345"');
    await expect(joining).rejects.toThrow('"node-1"');
  });

  test("of several that wait for it, one gets it and the others are refused", async () => {
    await crashed(record("first"));
    const waiting = await Promise.all(["b", "c", "d"].map((incarnation) => scene.membership(record(incarnation))));
    const outcomes = await Promise.allSettled(waiting.map((membership) => membership.join()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(scene.nodes()).toHaveLength(1);
    expect(scene.lost).toEqual([]);
  });
});

describe("a member", () => {
  test("stays for as long as it renews its lease", async () => {
    const member = await scene.membership(record("first"));
    await member.join();
    const until = performance.now() + 3 * times.lease;
    await eventually(() => {
      expect(scene.nodes()).toEqual([record("first")]);
      expect(performance.now()).toBeGreaterThan(until);
    });
  });

  test("joins again as itself when its lease ran out while the registry was away", async () => {
    await scene.registry.start();
    const member = await scene.membership(record("first"), { registry: scene.registry });
    await member.join();
    scene.registry.failing = true;
    await eventually(() => expect(scene.nodes()).toEqual([]));
    scene.registry.failing = false;
    await eventually(() => expect(scene.nodes()).toEqual([record("first")]));
    expect(scene.lost).toEqual([]);
    expect(scene.log.of("lease-not-renewed")).toHaveLength(1);
  });

  test("tells once that it had to join again, after its lease ran out, also if the answer to that was lost", async () => {
    const told: string[] = [];
    const registry = new FailingNodes({ store: scene.store });
    await registry.start();
    const member = await scene.membership(record("first"), {
      registry,
      onRenewed: () => told.push("renewed"),
      onRejoined: () => told.push("rejoined"),
    });
    await member.join();
    await member.setState("draining");
    expect(told).toEqual(["renewed", "renewed"]);
    scene.store.lose();
    registry.losesJoins = true;
    await eventually(() => expect(scene.nodes()).toHaveLength(1));
    registry.losesJoins = false;
    await eventually(() => expect(told.slice(2)).toContain("rejoined"));
    await member.check();
    expect(told.filter((what) => what === "rejoined")).toHaveLength(1);
  });

  test("knows whether it has the registry, and waits no longer than until that is known", async () => {
    await scene.registry.start();
    let tellReachable: (reachable: boolean) => void = () => {};
    scene.registry.onReachable = (listener) => {
      tellReachable = listener ?? tellReachable;
      return () => {};
    };
    const member = await scene.membership(record("first"), { registry: scene.registry });
    await member.join();
    expect(await member.check()).toBe(true);
    const held = scene.registry.hold();
    const checking = member.check();
    tellReachable(false);
    expect(await checking).toBe(false);
    held.release();
    expect(await member.check()).toBe(true);
    scene.registry.failing = true;
    expect(await member.check()).toBe(false);
    await member.leave();
    expect(await member.check()).toBe(false);
  });

  test("learns that its name was taken while it was frozen, once, and says no more to the registry", async () => {
    await scene.registry.start();
    const first = await scene.membership(record("first"), { registry: scene.registry });
    await first.join();
    const frozen = scene.registry.hold();
    const second = await scene.membership(record("second"));
    await second.join();
    frozen.release();
    await eventually(() => expect(scene.lost).toEqual([record("second")]));
    const said = scene.registry.calls;
    const until = performance.now() + 3 * times.renew;
    await eventually(() => expect(performance.now()).toBeGreaterThan(until));
    expect(scene.registry.calls).toBe(said);
    await first.leave();
    expect(scene.nodes()).toEqual([record("second")]);
    await expect(first.setState("draining")).rejects.toThrow("left the cluster");
  });

  test("that leaves is gone at once, also with a renewal under way", async () => {
    await scene.registry.start();
    const member = await scene.membership(record("first"), { registry: scene.registry });
    await member.join();
    const held = scene.registry.hold();
    const calls = scene.registry.calls;
    await eventually(() => expect(scene.registry.calls).toBeGreaterThan(calls));
    const leaving = member.leave();
    held.release();
    await leaving;
    expect(scene.nodes()).toEqual([]);
  });
});

describe("draining", () => {
  test("is told at once, and undone", async () => {
    const member = await scene.membership(record("first"));
    await member.join();
    await member.setState("draining");
    expect(scene.nodes()).toMatchObject([{ state: "draining" }]);
    expect(member.record.state).toBe("draining");
    await member.setState("up");
    expect(scene.nodes()).toMatchObject([{ state: "up" }]);
  });

  test("is told later where the registry is away, and the caller is told so", async () => {
    await scene.registry.start();
    const member = await scene.membership(record("first"), { registry: scene.registry });
    await member.join();
    scene.registry.failing = true;
    await expect(member.setState("draining")).rejects.toMatchObject({ code: "unavailable" });
    expect(member.record.state).toBe("draining");
    scene.registry.failing = false;
    await eventually(() => expect(scene.nodes()).toMatchObject([{ state: "draining" }]));
  });

  test("outlasts a lease that ran out", async () => {
    await scene.registry.start();
    const member = await scene.membership(record("first"), { registry: scene.registry });
    await member.join();
    await member.setState("draining");
    scene.registry.failing = true;
    await eventually(() => expect(scene.nodes()).toEqual([]));
    scene.registry.failing = false;
    await eventually(() => expect(scene.nodes()).toMatchObject([{ state: "draining" }]));
  });
});
