import { until, type Work } from "./process.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimNode } from "./sim-node.ts";

/** The awkward moments of a move. */
export const moments = ["gate closed", "copy ended", "asked", "claimed", "taken", "answered", "parking"] as const;
export type Moment = (typeof moments)[number];

/** What happens to a node then; gives for how many milliseconds what it was about to do comes later. */
export type Meet = (node: SimNode) => number;

/** Lets a fault meet a node in exactly such a moment, which lasts too short for chance. */
export class Moments {
  readonly #scheduler: Scheduler;
  readonly #traps = new Map<Moment, Set<Meet>>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The next node that comes there meets it. Gives the way to take the trap away. */
  set(moment: Moment, meet: Meet): () => void {
    const traps = this.#traps.get(moment) ?? new Set();
    this.#traps.set(moment, traps);
    traps.add(meet);
    return () => traps.delete(meet);
  }

  *pass(moment: Moment, node: SimNode): Work<void> {
    const [meet] = this.#traps.get(moment) ?? [];
    if (meet === undefined) return;
    this.#traps.get(moment)?.delete(meet);
    yield* until<void>((done) => {
      const ms = meet(node);
      this.#scheduler.after(ms, () => done());
    });
  }
}
