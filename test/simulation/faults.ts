import { type Meet, moments } from "./moments.ts";
import { NodeClock } from "./node-clock.ts";
import { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

/** How often a fault was caused, and how often it met something: a session, a message, a command. */
export interface FaultCount {
  caused: number;
  met: number;
}

export const faultKinds = [
  "crash",
  "crash in a move",
  "freeze in a move",
  "delay in a move",
  "restart",
  "freeze within the lease",
  "freeze beyond the lease",
  "machine asleep",
  "cut between nodes",
  "cut from the registry",
  "cut from the edge",
  "cut from all but the edge",
  "registry unreachable",
  "registry frozen",
  "registry emptied",
  "clock set",
  "slow messages",
  "messages slower than the lease",
  "lost messages",
  "doubled commands",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Ends the fault; gives whether it met anything. */
type Mend = () => boolean;

export type FaultCounts = Record<FaultKind, FaultCount>;

export function noFaults(): FaultCounts {
  return Object.fromEntries(faultKinds.map((kind) => [kind, { caused: 0, met: 0 }])) as FaultCounts;
}

/** What goes wrong in a schedule, by its seed. */
export class Faults {
  readonly #world: World;
  readonly #counts: FaultCounts;
  readonly #kinds: readonly FaultKind[];
  readonly #open = new Set<() => void>();
  #starts = 0;
  #over = false;

  constructor(world: World, counts: FaultCounts, kinds: readonly FaultKind[]) {
    this.#world = world;
    this.#counts = counts;
    this.#kinds = kinds;
  }

  /** Starts a node at an address, with clocks of its own, and the app that ran there before, or a newer one. */
  start(tag: string, app?: number): SimNode {
    const { random, scheduler, nodes } = this.#world;
    const before = nodes.get(tag);
    const clock =
      before?.clock ?? new NodeClock(scheduler, 1 + random.between(-0.01, 0.01), random.between(-20_000, 20_000));
    const node = new SimNode(this.#world, tag, { start: ++this.#starts, clock, app: app ?? before?.app ?? 1 });
    nodes.set(tag, node);
    return node;
  }

  /** Plans faults between two times. */
  plan(from: number, to: number): void {
    const { random, scheduler } = this.#world;
    if (this.#kinds.length === 0) return;
    const many = random.whole(1, 5);
    for (let i = 0; i < many; i++) {
      const kind = random.pick(this.#kinds);
      scheduler.after(random.between(from, to) - scheduler.now, () => this.#cause(kind));
    }
  }

  /** Mends everything, and starts what is dead. */
  mendAll(): void {
    this.#over = true;
    for (const mend of [...this.#open]) mend();
    for (const [tag, node] of this.#world.nodes) if (node.process.isGone) this.#restart(tag);
  }

  #cause(kind: FaultKind, where?: string): void {
    if (this.#over) return;
    const { random, scheduler, observer, nodes } = this.#world;
    const tag = where ?? random.pick([...nodes.keys()]);
    const [mend, ms] = this.#begin(kind, tag);
    observer.note(() => `FAULT ${kind} for ${Math.round(ms)} ms`);
    // A start counts when it happens, whatever caused it.
    if (kind !== "restart") this.#counts[kind].caused += 1;
    const end = () => {
      if (!this.#open.delete(end)) return;
      observer.note(() => `mended: ${kind}`);
      if (mend() && kind !== "restart") this.#counts[kind].met += 1;
    };
    this.#open.add(end);
    scheduler.after(ms, end);
    // Faults seldom come alone, and often in one place.
    if (!random.chance(0.3)) return;
    const next = random.pick(this.#kinds);
    const there = random.chance(0.5) ? tag : undefined;
    scheduler.after(random.between(0, ms + 1_000), () => this.#cause(next, there));
  }

  #begin(kind: FaultKind, tag: string): [Mend, number] {
    const { random, network, registry, observer, nodes } = this.#world;
    const tags = [...nodes.keys()];
    const node = nodes.get(tag) as SimNode;
    const long = random.between(500, 12_000);
    switch (kind) {
      case "crash":
      case "restart": {
        observer.note(() => `${node.incarnation} is killed`);
        const had = node.kill();
        return [() => this.#restart(tag) && had > 0, kind === "crash" ? long : random.between(20, 600)];
      }
      case "crash in a move":
        return this.#inMove((there) => {
          there.kill();
          this.#world.scheduler.after(random.between(20, 6_000), () => this.#restart(there.tag));
          return 0;
        });
      case "freeze in a move":
        return this.#inMove((there) => {
          const thaw = this.#freeze(there);
          const end = () => {
            if (this.#open.delete(end)) thaw();
          };
          this.#open.add(end);
          this.#world.scheduler.after(random.between(200, 9_000), end);
          return 0;
        });
      case "delay in a move":
        return this.#inMove(() => random.between(100, 8_000));
      case "freeze within the lease":
        return [this.#freeze(node), random.between(300, 4_900)];
      case "freeze beyond the lease":
        return [this.#freeze(node), random.between(5_000, 11_000)];
      case "machine asleep": {
        // That its wall clock was set back as well is one fault more than two clocks can tell.
        if (!node.clock.setBack) node.clock.sleep();
        const thaw = this.#freeze(node);
        const wake = () => {
          node.clock.wake();
          return thaw();
        };
        return [wake, random.between(500, 12_000)];
      }
      case "cut between nodes": {
        const other = random.pick(tags.filter((one) => one !== tag));
        observer.note(() => `between ${tag} and ${other}`);
        return [this.#cut(tag, other), long];
      }
      case "cut from the registry":
        observer.note(() => `${tag} and the registry`);
        return [this.#cut(tag, "registry"), long];
      case "cut from the edge":
        observer.note(() => `${tag} and the edge`);
        return [this.#cut(tag, "edge"), long];
      case "cut from all but the edge": {
        observer.note(() => `${tag} and all but the edge`);
        const mends = ["registry", ...tags].filter((other) => other !== tag).map((other) => this.#cut(tag, other));
        return [() => mends.map((mend) => mend()).includes(true), long];
      }
      case "registry unreachable": {
        const before = registry.met.away;
        const back = registry.leave();
        return [this.#after(back, () => registry.met.away > before), long];
      }
      case "registry frozen": {
        const before = registry.met.frozen;
        const back = registry.freeze();
        return [this.#after(back, () => registry.met.frozen > before), long];
      }
      case "registry emptied":
        return [this.#empty(), random.between(0, 3_000)];
      case "clock set": {
        const ms = random.between(node.clock.isAsleep ? 0 : -30_000, 30_000);
        observer.note(() => `${tag}'s wall clock by ${ms}`);
        const had = node.owning.copies.size;
        node.clock.set(ms);
        return [() => had > 0, 1];
      }
      case "slow messages":
      case "messages slower than the lease": {
        const before = network.met.slow;
        const slow = kind === "slow messages" ? 700 : 8_000;
        network.slowMs += slow;
        return [
          this.#after(
            () => (network.slowMs -= slow),
            () => network.met.slow > before,
          ),
          random.between(500, 4_000),
        ];
      }
      case "lost messages": {
        const before = network.met.lost;
        network.losing += 0.15;
        return [
          this.#after(
            () => (network.losing = 0),
            () => network.met.lost > before,
          ),
          random.between(500, 6_000),
        ];
      }
      case "doubled commands": {
        const before = network.met.doubled;
        network.doubling = 0.4;
        return [
          this.#after(
            () => (network.doubling = 0),
            () => network.met.doubled > before,
          ),
          long,
        ];
      }
    }
  }

  #after(mend: () => void, met: () => boolean): Mend {
    return () => {
      mend();
      return met();
    };
  }

  /** Waits for a node that comes to some moment of a move. */
  #inMove(meet: Meet): [Mend, number] {
    const { random, observer, moments: traps } = this.#world;
    const moment = random.pick(moments);
    let met = false;
    const takeAway = traps.set(moment, (there) => {
      observer.note(() => `${there.incarnation} meets it at the moment "${moment}"`);
      met = true;
      return meet(there);
    });
    return [this.#after(takeAway, () => met), random.between(4_000, 12_000)];
  }

  #freeze(node: SimNode): Mend {
    this.#world.observer.note(() => `${node.incarnation} is frozen`);
    node.process.freeze();
    return () => {
      this.#world.observer.note(() => `${node.incarnation} is thawed`);
      return node.process.thaw(this.#world.random) > 0;
    };
  }

  #cut(one: string, other: string): Mend {
    const { network } = this.#world;
    const before = network.met.cut;
    const mend = network.cut(one, other);
    return this.#after(mend, () => network.met.cut > before);
  }

  /** As when it is killed, and started again: away a while, then back without its entries. */
  #empty(): Mend {
    const { registry } = this.#world;
    const back = registry.leave();
    return () => {
      back();
      return this.#emptyNow() > 0;
    };
  }

  #emptyNow(): number {
    const { registry, observer, nodes, scheduler } = this.#world;
    registry.emptiedAt = scheduler.now;
    const lost = registry.store.nodes(scheduler.now).length;
    registry.store.lose();
    observer.emptied();
    for (const { id, closing } of observer.sessions.values()) {
      const held = [...nodes.values()].some((node) => !node.process.isGone && node.owning.copies.has(id));
      if (!held && !closing) observer.excuse(id, "the registry was emptied while nobody held it");
    }
    return lost;
  }

  #restart(tag: string): boolean {
    const node = this.#world.nodes.get(tag);
    if (node === undefined || !node.process.isGone) return false;
    const { counts } = { counts: this.#counts.restart };
    counts.caused += 1;
    counts.met += 1;
    const again = this.start(tag);
    this.#world.observer.note(() => `${again.incarnation} starts`);
    return true;
  }
}
