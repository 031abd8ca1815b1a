import type { Copy } from "./copy.ts";
import type { Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import type { World } from "./world.ts";

/** How a close went. */
export type Closed = "closed" | "unknown" | "misrouted";

/** A node's part in the end of sessions. */
export class Closing {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #ended = new Set<string>();
  /** Closes that the registry could not be told of in time. */
  readonly #late = new Set<string>();

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Whether it ended here. */
  hasEnded(id: string): boolean {
    return this.#ended.has(id);
  }

  /** Another node closed it. */
  closedElsewhere(id: string): void {
    const copy = this.#node.owning.copies.get(id);
    if (copy !== undefined) this.#end(copy);
  }

  /** What could not be said before. */
  *closeLate(): Work<void> {
    for (const id of [...this.#late]) {
      if ((yield* this.#closeInRegistry(id)) === unavailable) return;
      this.#late.delete(id);
    }
  }

  *close(id: string): Work<Closed> {
    const node = this.#node;
    const { observer } = this.#world;
    const held = node.owning.copies.get(id);
    const copy = held !== undefined && node.mayOwn() ? held : undefined;
    if (copy !== undefined) this.#end(copy);
    const closed = yield* this.#closeInRegistry(id);
    if (closed !== unavailable) return closed || copy !== undefined ? "closed" : "unknown";
    if (copy === undefined) return "misrouted";
    this.#late.add(id);
    observer.note(() => `${node.incarnation} closes ${id} later`);
    return "closed";
  }

  #end(copy: Copy): void {
    this.#ended.add(copy.id);
    this.#node.owning.drop(copy, "closed");
  }

  *#closeInRegistry(id: string): Work<boolean | typeof unavailable> {
    const { observer, network, nodes } = this.#world;
    return yield* this.#node.link.ask((store, now) => {
      const existed = store.close(id, true, now);
      observer.closed(id);
      for (const tag of nodes.keys()) {
        network.carry("registry", tag, () => {
          const node = nodes.get(tag);
          node?.process.handle(() => node.closing.closedElsewhere(id));
        });
      }
      return existed;
    });
  }
}
