import { Copy } from "./copy.ts";
import { shapeOf } from "./owning.ts";
import { until, type Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import type { World } from "./world.ts";

/** What came of the wish that a node take a session. */
export type Took =
  | { readonly kind: "taken" }
  /** It takes nothing just now: it drains, may own nothing, has promised so, or entries were lost a moment ago. */
  | { readonly kind: "not-now" }
  /** Somebody else has it, of another epoch; or it is no more. */
  | { readonly kind: "not-ours" }
  /** It can't read it: newer code has changed it. It learned that by a claim, so that it is of this epoch now. */
  | { readonly kind: "unreadable"; readonly epoch: number }
  | { readonly kind: "unavailable" };

/** What one node asks another: to take a session. */
export interface Offer {
  readonly id: string;
  readonly epoch: number;
  /** The incarnation of its owner, which is gone, where somebody else offers it. */
  readonly orphanOf?: string | undefined;
  readonly comesHome?: boolean;
}

/** A node's ways to become the owner of a session. */
export class Adopting {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #underWay = new Map<string, (() => void)[]>();
  readonly #unreadable = new Set<string>();

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Begins a session. */
  *open(id: string, isPinned: boolean): Work<boolean> {
    const node = this.#node;
    if (!node.mayOwn() || node.isStopping) return false;
    const { term, tag, incarnation, app } = node;
    const { observer, scheduler } = this.#world;
    const start = { createdAt: scheduler.now, now: node.clock.read().monotonic, isPinned, shape: app };
    const copy = new Copy(id, { owner: { tag, incarnation }, epoch: 1 }, start);
    copy.keptAt = scheduler.now;
    const generation = node.generations.known;
    const record = copy.record(node.tag);
    const claimed = yield* node.link.ask((store, now) => store.claim(record, now));
    if (!node.mayOwn() || node.term !== term || node.isStopping) return false;
    if (claimed === unavailable) {
      if (!node.allPromised()) return false;
      copy.keptAt = Number.NEGATIVE_INFINITY;
      copy.version = copy.answeredUnwritten = 1;
    } else copy.noted = generation;
    observer.begun(id, isPinned);
    node.owning.add(copy);
    node.owning.serves(copy);
    return true;
  }

  /** Waits for the end of an adoption that is under way. */
  *done(id: string): Work<void> {
    const waiting = this.#underWay.get(id);
    if (waiting !== undefined) yield* until<void>((done) => waiting.push(done));
  }

  /** Another node asks this one to take a session of that epoch. It may ask the same twice. */
  *take({ id, epoch, orphanOf, comesHome = false }: Offer): Work<Took> {
    const node = this.#node;
    const { rules, moments } = this.#world;
    yield* moments.pass("asked", node);
    yield* this.done(id);
    const copy = node.owning.copies.get(id);
    // Asked again: the answer was lost, or is under way.
    if (copy?.fence.epoch === epoch + 1 && node.mayOwn()) return { kind: "taken" };
    if (node.isStopping || (node.state === "draining" && rules.drainingTakesNothing)) return { kind: "not-now" };
    // An owner may give away what nobody else may take from it.
    if (orphanOf === undefined ? node.generations.isRestoring : node.isQuiet(orphanOf)) return { kind: "not-now" };
    const compares = rules.takesByEpoch && (rules.comesHomeByEpoch || !comesHome);
    return yield* this.adopt(id, compares ? epoch : undefined);
  }

  /** Without an epoch, whatever the registry has: a rule that is broken. */
  *adopt(id: string, epoch: number | undefined): Work<Took> {
    const node = this.#node;
    const { moments } = this.#world;
    if (epoch !== undefined && this.#unreadable.has(id)) return { kind: "unreadable", epoch };
    if (this.#underWay.has(id) || node.owning.copies.has(id) || !node.mayOwn()) return { kind: "not-now" };
    if (node.isStopping) return { kind: "not-now" };
    const waiting: (() => void)[] = [];
    this.#underWay.set(id, waiting);
    const took = yield* this.#claim(id, epoch);
    yield* moments.pass("taken", node);
    this.#underWay.delete(id);
    for (const goOn of waiting) goOn();
    return took;
  }

  *#claim(id: string, epoch: number | undefined): Work<Took> {
    const node = this.#node;
    const { observer, moments, rules } = this.#world;
    const { term, tag, incarnation, app } = node;
    const to = { owner: { tag, incarnation }, peer: tag };
    const handed = yield* node.link.ask((store, now) => store.handOverTo(to, id, epoch, now));
    yield* moments.pass("claimed", node);
    if (handed === unavailable) return { kind: "unavailable" };
    if (handed.kind !== "handed-over") return { kind: "not-ours" };
    const { session } = handed;
    if (rules.refusesNewer && shapeOf(session) > app) {
      this.#unreadable.add(id);
      return { kind: "unreadable", epoch: session.record.epoch };
    }
    // What was asked for before this node lost its right may be another's by now.
    if (!node.mayOwn() || node.term !== term || node.owning.copies.has(id)) return { kind: "not-now" };
    // Nobody would end it any more.
    if (node.isStopping) return { kind: "not-now" };
    observer.note(() => `${incarnation} takes ${id} as of epoch ${session.record.epoch}`);
    node.owning.take(session);
    return { kind: "taken" };
  }
}
