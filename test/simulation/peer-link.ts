import { until, type Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

/** What comes of a question to another node, instead of its answer. */
export type NoAnswer = "refused" | "silent" | "cut-off";

/** A node's connections to the others. */
export class PeerLink {
  readonly #world: World;
  readonly #node: SimNode;

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Asks the process at an address. */
  *ask<T>(to: string, question: (peer: SimNode) => Work<T>, deadlineMs: number): Work<T | NoAnswer> {
    const { network, scheduler, nodes } = this.#world;
    const { tag, clock } = this.#node;
    return yield* until<T | NoAnswer>((done) => {
      scheduler.after(clock.truly(deadlineMs), () => done("silent"));
      network.carry(tag, to, () => {
        const peer = nodes.get(to);
        const reply = (answer: T | NoAnswer) => network.carry(to, tag, () => done(answer));
        if (peer === undefined || peer.process.isGone) return reply("refused");
        const forget = peer.process.onGone(() => reply("cut-off"));
        peer.process.handle(() =>
          peer.process.do(question(peer), (answer) => {
            forget();
            reply(answer);
          }),
        );
      });
    });
  }
}
