import type { Copy } from "./copy.ts";
import type { Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { times, type World } from "./world.ts";

/** Sessions that nobody uses leave a node's memory; the registry goes on naming it as their owner. */
export class Parking {
  readonly #world: World;
  readonly #node: SimNode;
  /** Those that come back here with their next requests. */
  readonly parked = new Set<string>();

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  *run(): Work<void> {
    const node = this.#node;
    for (;;) {
      yield* node.sleep(400);
      if (node.state !== "up") continue;
      for (const copy of [...node.owning.copies.values()]) if (this.#isIdle(copy)) yield* this.#park(copy);
    }
  }

  #isIdle(copy: Copy): boolean {
    const { clock, generations } = this.#node;
    const isFree = !generations.isRestoring && copy.gone === undefined && !copy.isLeaving && !copy.isPinned;
    return isFree && copy.requests === 0 && clock.read().monotonic - copy.usedAt >= times.park;
  }

  *#park(copy: Copy): Work<void> {
    const node = this.#node;
    const { rules, moments, observer } = this.#world;
    // Also when nothing is unwritten: that it is still there, only an answer can tell.
    if (rules.parksWritten && (yield* node.owning.write(copy)) !== "written") return;
    yield* moments.pass("parking", node);
    if (rules.parksWritten && copy.written < copy.version) return;
    // A request may have come meanwhile.
    if (!this.#isIdle(copy) || !node.mayOwn()) return;
    observer.counts.parked += 1;
    node.owning.putAway(copy, "parked");
    this.parked.add(copy.id);
  }
}
