import type { Offer } from "./adopting.ts";
import type { Copy } from "./copy.ts";
import { Gate } from "./gate.ts";
import { atOnce, type Work } from "./process.ts";
import { beginsCall, type Served } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { times, type World } from "./world.ts";

/** Why a node did not take a session. `silent`: it may have taken it. */
export type Refusal = "not-now" | "unreadable" | "unavailable" | "refused" | "silent" | "cut-off";

/** By tag. */
export type Refusals = ReadonlyMap<string, Refusal>;

/** How a hand-over went. */
export type Moved =
  | { readonly kind: "moved" }
  /** What it had could not be written: it goes on here. */
  | { readonly kind: "not-yet" }
  /** Nobody took it: it goes on here. */
  | { readonly kind: "stayed"; readonly refusedBy: Refusals }
  /** It is not this node's any more, for another reason. */
  | { readonly kind: "gone" };

interface Way {
  /** The next node to offer it to, after some did not take it. */
  readonly next: (refusedBy: Refusals) => string | undefined;
  /** Although calls are in flight. */
  readonly isCut: boolean;
  readonly comesHome: boolean;
}

/** The sessions that leave a node for another one: their gates, and where they went. */
export class Moves {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #gates = new Map<string, Gate>();
  readonly #movedTo = new Map<string, string>();
  #underWay = 0;

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  get underWay(): number {
    return this.#underWay;
  }

  gateOf(id: string): Gate {
    const gate = this.#gates.get(id) ?? new Gate();
    this.#gates.set(id, gate);
    return gate;
  }

  /** Where it was handed over to from here, if it did not come back. */
  movedTo(id: string): string | undefined {
    return this.#movedTo.get(id);
  }

  isHere(id: string): void {
    this.#movedTo.delete(id);
  }

  /** Waits at a session's gate; gives whether it lets this through in time. */
  *passed(id: string, ask: Served, forMs: number): Work<boolean> {
    const { scheduler } = this.#world;
    const { clock } = this.#node;
    const gate = this.gateOf(id);
    const isCall = beginsCall(ask);
    const until = clock.read().monotonic + forMs;
    for (let left = forMs; gate.holds(isCall) && left > 0; left = until - clock.read().monotonic) {
      const ms = clock.truly(left);
      yield* gate.wait((done) => scheduler.after(ms, done));
    }
    return !gate.holds(isCall);
  }

  *handOver(copy: Copy, way: Way): Work<Moved> {
    const node = this.#node;
    const gate = this.gateOf(copy.id);
    const { rules, observer } = this.#world;
    if (rules.endsBeforeAsking) gate.close("all", node.clock.read().monotonic);
    this.#underWay += 1;
    const moved = yield* this.#handOver(copy, way);
    observer.note(() => `${node.incarnation} hands ${copy.id} over: ${moved.kind}`);
    this.#underWay -= 1;
    if (rules.opensAnyway || moved.kind === "moved") gate.open(node.clock.read().monotonic);
    return moved;
  }

  *#handOver(copy: Copy, { next, isCut, comesHome }: Way): Work<Moved> {
    const node = this.#node;
    const { rules, moments, observer } = this.#world;
    const { id } = copy;
    const refusedBy = new Map<string, Refusal>();
    let to = yield* this.#nextAlive(next, refusedBy);
    // Nothing is ended for nothing.
    if (rules.placesFirst && to === undefined) return { kind: "stayed", refusedBy };
    yield* moments.pass("gate closed", node);
    if (rules.endsBeforeAsking) {
      const left = yield* node.owning.leave(copy, isCut);
      if (left !== "left") return { kind: left === "stayed" ? "not-yet" : "gone" };
    }
    yield* moments.pass("copy ended", node);
    let { epoch } = copy.fence;
    for (; to !== undefined; to = yield* this.#nextAlive(next, refusedBy)) {
      const offer: Offer = { id, epoch, comesHome };
      const took = yield* node.peers.ask(to, (peer) => peer.adopting.take(offer), times.take);
      yield* moments.pass("answered", node);
      const kind = typeof took === "string" ? took : took.kind;
      if (kind === "taken") {
        this.#movedTo.set(id, to);
        if (!rules.endsBeforeAsking) node.owning.putAway(copy, "moved");
        observer.counts[comesHome ? "come home" : "handed over"] += 1;
        return { kind: "moved" };
      }
      if (kind === "not-ours") {
        // An earlier one has it, whose answer was lost or late; or it is no more.
        if (rules.leavesToOthers) return { kind: "gone" };
        refusedBy.set(to, "not-now");
      } else refusedBy.set(to, kind);
      if (typeof took === "object" && took.kind === "unreadable") ({ epoch } = took);
    }
    if (!rules.endsBeforeAsking) return { kind: "stayed", refusedBy };
    observer.counts["taken back"] += 1;
    const back = yield* node.adopting.adopt(id, rules.leavesToOthers ? epoch : undefined);
    return back.kind === "taken" ? { kind: "stayed", refusedBy } : { kind: "gone" };
  }

  /** A dead node is in the table for a lease still. */
  *#nextAlive(next: Way["next"], refusedBy: Map<string, Refusal>): Work<string | undefined> {
    for (let to = next(refusedBy); to !== undefined; to = next(refusedBy)) {
      const sign = yield* this.#node.peers.ask(to, () => atOnce(() => "alive" as const), times.probe);
      if (sign === "alive") return to;
      refusedBy.set(to, sign);
    }
    return undefined;
  }
}
