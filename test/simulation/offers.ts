import { takersOf } from "../../src/model/takers.ts";
import type { Offer } from "./adopting.ts";
import type { Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import { times, type World } from "./world.ts";

/** For so long a session that nobody takes is not offered again, although requests for it wait. */
const restMs = 1_000;

/** Offers orphans to others that a node can't take up itself: it can't read them, or it stops. */
export class Offers {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #underWay = new Set<string>();
  readonly #restUntil = new Map<string, number>();

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Gives the node that took it. Undefined: nobody did, or somebody has it meanwhile: look again. */
  *offer(orphan: Offer): Work<string | undefined> {
    const { id } = orphan;
    const { clock } = this.#node;
    if (this.#underWay.has(id) || clock.read().monotonic < (this.#restUntil.get(id) ?? 0)) return undefined;
    this.#underWay.add(id);
    const to = yield* this.#round(orphan);
    this.#underWay.delete(id);
    if (to === undefined) this.#restUntil.set(id, clock.read().monotonic + restMs);
    else this.#world.observer.counts["passed on"] += 1;
    return to;
  }

  *#round(orphan: Offer): Work<string | undefined> {
    const node = this.#node;
    let { epoch } = orphan;
    for (const { tag, incarnation } of takersOf(node.members(), { own: node.tag, format: undefined })) {
      const offer = { ...orphan, epoch };
      const answer = yield* node.peers.ask(tag, (peer) => peer.adopting.take(offer), times.take);
      if (typeof answer === "object" && answer.kind === "taken") return tag;
      const isUnreadable = typeof answer === "object" && answer.kind === "unreadable";
      const now = isUnreadable ? answer.epoch : yield* this.#epochAfter(offer, incarnation);
      if (now === undefined) return undefined;
      epoch = now;
    }
    return undefined;
  }

  /** The epoch to offer it with next. Undefined: somebody has it, or may have it soon, and is not to be robbed of it. */
  *#epochAfter({ id, epoch }: Offer, asked: string): Work<number | undefined> {
    const record = yield* this.#node.link.ask((store, now) => store.find(id, now));
    if (record === unavailable || record === undefined) return undefined;
    // The one that was asked may have refused because it has it.
    const isAsked = !this.#world.rules.leavesToOthers && record.owner.incarnation === asked;
    return record.epoch === epoch || isAsked ? record.epoch : undefined;
  }
}
