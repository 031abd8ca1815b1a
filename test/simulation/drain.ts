import { nextPace, startPace } from "../../src/model/drain.ts";
import { place } from "../../src/model/placement.ts";
import type { Copy } from "./copy.ts";
import { depart } from "./departure.ts";
import type { Refusals } from "./moves.ts";
import type { Work } from "./process.ts";
import { homeOf } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { perSecond, times, type World } from "./world.ts";

export interface DrainOrder {
  readonly deadlineMs: number;
  /** Whether the node ends when it has none left, or its time is over. */
  readonly thenStops: boolean;
}

/** A session that nobody took is offered again after so long: each offer is a change of owner. */
const againMs = 1_000;
/** For so long a node that stops goes on beyond the deadline, for sessions that it can't hand over now. */
const graceMs = 3_000;
/** For so long it waits for the requests that it holds, or passes on, before it ends. */
const lastWordsMs = 6_000;

/** A node that gives all its sessions away, and ends, if that is wanted. */
export class Drain {
  readonly #world: World;
  readonly #node: SimNode;
  #order: DrainOrder | undefined;
  /** When a session is offered again that nobody took. */
  readonly #againAt = new Map<string, number>();

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  begin(order: DrainOrder): void {
    const node = this.#node;
    if (node.state !== "up") return;
    this.#world.observer.note(() => `${node.incarnation} drains within ${order.deadlineMs} ms`);
    this.#order = order;
    node.setState("draining");
    node.process.do(this.#run(order));
  }

  /** Sessions that are on their way go there; all others stay. */
  cancel(): void {
    const node = this.#node;
    if (node.state !== "draining") return;
    this.#world.observer.note(() => `${node.incarnation} drains no more`);
    this.#order = undefined;
    node.setState("up");
  }

  *#run(order: DrainOrder): Work<void> {
    const node = this.#node;
    const isOff = () => this.#order !== order || node.state !== "draining";
    const beganAt = node.clock.read().monotonic;
    const { deadlineMs } = order;
    let pace = startPace(beganAt);
    while (!isOff()) {
      const now = node.clock.read().monotonic;
      const copies = [...node.owning.copies.values()];
      const left = copies.filter(({ id, isLeaving }) => !isLeaving && now >= (this.#againAt.get(id) ?? now));
      const next = nextPace(pace, { now, perSecond, left: left.length, endsAt: beganAt + deadlineMs });
      pace = next.pace;
      for (const copy of left.slice(0, next.begin)) this.#lead(copy, { beganAt, deadlineMs, isOff });
      const isEmpty = copies.length === 0 && node.moves.underWay === 0;
      if (order.thenStops && (isEmpty || now - beganAt > deadlineMs + graceMs)) return yield* this.#stop();
      yield* node.sleep(40);
    }
  }

  #lead(copy: Copy, turn: { beganAt: number; deadlineMs: number; isOff: () => boolean }): void {
    const node = this.#node;
    const { rules } = this.#world;
    const { id } = copy;
    const next = (refusedBy: Refusals) => this.#placeOf(id, refusedBy);
    copy.isLeaving = true;
    node.process.do(depart(this.#world, node, copy, { next, comesHome: false, ...turn }), (departed) => {
      copy.isLeaving = false;
      if (departed.kind === "stayed" && rules.placesFirst) {
        this.#againAt.set(id, node.clock.read().monotonic + againMs);
      }
    });
  }

  #placeOf(id: string, refusedBy: Refusals): string | undefined {
    const { rules, nodes } = this.#world;
    const places = this.#node.members().map(({ tag, state }) => ({
      tag,
      state: rules.drainingTakesNothing ? state : ("up" as const),
      load: nodes.get(tag)?.owning.copies.size ?? 0,
    }));
    const barred = new Set(refusedBy.keys());
    const placed = place({ home: homeOf(id), barred }, places, this.#node.tag);
    return placed.kind === "stay" ? undefined : placed.to;
  }

  *#stop(): Work<void> {
    const node = this.#node;
    const { observer, rules } = this.#world;
    observer.note(() => `${node.incarnation} stops`);
    node.setState("stopping");
    yield* this.#waitFor(() => node.moves.underWay === 0, times.hold);
    for (const copy of [...node.owning.copies.values()]) {
      if ((yield* node.owning.leave(copy, true)) === "stayed") node.owning.drop(copy, "its node stops");
      observer.counts["left behind"] += 1;
    }
    yield* node.leave();
    // What it still relays would be cut with it, and so would what others passed on before they knew that it left.
    if (rules.waitsForLastRequests) yield* this.#waitFor(() => node.finding.openRequests === 0, lastWordsMs);
    observer.counts["stopped after a drain"] += 1;
    node.process.end();
  }

  *#waitFor(isSo: () => boolean, mostMs: number): Work<void> {
    for (let waited = 0; !isSo() && waited < mostMs; waited += 50) yield* this.#node.sleep(50);
  }
}
