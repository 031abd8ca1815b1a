import { nextPace, startPace } from "../../src/model/drain.ts";
import { homeComings, nextUpSince, type UpSince } from "../../src/model/home-coming.ts";
import type { Copy } from "./copy.ts";
import { depart } from "./departure.ts";
import type { Refusals } from "./moves.ts";
import { homeOf } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { perSecond, times, type World } from "./world.ts";

/** How a home did not take a session. */
interface Failed {
  readonly triedAt: number;
  readonly barredBy: string | undefined;
}

/** A node's guests go home when their homes are back. */
export class HomeComing {
  readonly #world: World;
  readonly #node: SimNode;
  #upSince: ReadonlyMap<string, UpSince> = new Map();
  #pace = startPace(0);
  readonly #failed = new Map<string, Failed>();

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** The nodes were listed. */
  look(): void {
    const node = this.#node;
    const now = node.clock.read().monotonic;
    this.#upSince = nextUpSince(this.#upSince, node.members(), now);
    if (node.state !== "up") return;
    const guests = [...node.owning.copies.values()]
      .filter(({ id, isPinned, isLeaving }) => homeOf(id) !== node.tag && !isPinned && !isLeaving)
      .map((copy) => ({
        ...{ id: copy.id, copy, home: homeOf(copy.id), since: copy.since },
        ...this.#failed.get(copy.id),
      }));
    const { settle: settleMs, rest: restMs } = times;
    const ready = homeComings(guests, { homes: this.#upSince, now, settleMs, restMs });
    const next = nextPace(this.#pace, { now, perSecond, left: ready.length, endsAt: Number.POSITIVE_INFINITY });
    this.#pace = next.pace;
    for (const { copy } of ready.slice(0, next.begin)) this.#lead(copy, now);
  }

  #lead(copy: Copy, beganAt: number): void {
    const node = this.#node;
    const { id } = copy;
    const home = homeOf(id);
    const incarnation = this.#upSince.get(home)?.incarnation;
    const isOff = () => node.state !== "up" || this.#upSince.get(home)?.incarnation !== incarnation;
    const next = (refusedBy: Refusals) =>
      refusedBy.has(home) || node.memberAt(home)?.state !== "up" ? undefined : home;
    copy.isLeaving = true;
    const journey = { next, beganAt, deadlineMs: Number.POSITIVE_INFINITY, comesHome: true, isOff };
    node.process.do(depart(this.#world, node, copy, journey), (departed) => {
      copy.isLeaving = false;
      this.#failed.delete(id);
      if (departed.kind === "left") return;
      const barredBy = departed.refusedBy.get(home) === "unreadable" ? incarnation : undefined;
      this.#failed.set(id, { triedAt: node.clock.read().monotonic, barredBy });
    });
  }
}
