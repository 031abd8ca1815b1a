import type { Generation } from "../../src/ports/registry.ts";
import type { Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import { times } from "./world.ts";

/** What a node knows of the registry's generation. */
export class Generations {
  readonly #node: SimNode;
  known: string | undefined;
  #restoringUntil = Number.NEGATIVE_INFINITY;

  constructor(node: SimNode) {
    this.#node = node;
  }

  /** Whether entries were lost a moment ago: their owners are writing them again, and nobody adopts. */
  get isRestoring(): boolean {
    return this.#node.clock.read().monotonic < this.#restoringUntil;
  }

  *read(): Work<string | typeof unavailable> {
    const { known } = this;
    const answer = yield* this.#node.link.ask((store, now) => store.generation(known, now));
    if (answer === unavailable) return unavailable;
    this.learn(answer);
    return answer.id;
  }

  learn({ id, lostAgoMs }: Generation): void {
    const { clock, parking } = this.#node;
    if (lostAgoMs !== undefined && lostAgoMs < times.lease) {
      this.#restoringUntil = Math.max(this.#restoringUntil, clock.read().monotonic + times.lease - lostAgoMs);
    }
    // With the entries of the others, theirs are lost.
    if (this.known !== undefined && this.known !== id) parking.parked.clear();
    this.known = id;
  }
}
