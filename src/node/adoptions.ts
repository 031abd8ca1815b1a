import type { FormatRange } from "../model/formats.ts";
import type { Owner } from "../model/locate.ts";
import type { Log } from "../ports/log.ts";
import type { Fence, Registry } from "../ports/registry.ts";
import { Session, type SessionHost } from "../session/session.ts";
import type { SessionStore } from "../session/session-store.ts";
import { UnreadableSession } from "../session/unreadable-session.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { Ownership } from "./ownership.ts";

/** How an adoption went. */
export type Adopted =
  | { readonly kind: "adopted"; readonly session: Session }
  /** Another node was quicker, or it was closed: look again who owns it. */
  | { readonly kind: "not-ours" }
  /** This node stops, or may not own anything just now. */
  | { readonly kind: "not-now" }
  /**
   * This node can't read it: newer code has changed it, or keeps it in a newer form. It has been logged; the session is
   * whole, and of this epoch now.
   */
  | { readonly kind: "unreadable"; readonly epoch: number }
  /** The person's own code could not take the session up; it has been logged. It is of this epoch now. */
  | { readonly kind: "failed"; readonly epoch: number }
  /** The registry does not answer. */
  | { readonly kind: "unavailable" };

/** Whose session it was: an owner's that is gone, one's that hands it over, or this node's own, which had parked it. */
export type From = "gone" | "handed-over" | "parked";

const logged = { gone: "session-adopted", "handed-over": "session-taken", parked: "session-unparked" } as const;

export interface AdoptionsParts {
  readonly host: SessionHost;
  readonly registry: Registry;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  /** Which formats of kept sessions this node reads. */
  readonly reads: FormatRange;
  /** This node, as the owner that it becomes. */
  owner(): { readonly owner: Owner; readonly peer: string | undefined };
  store(id: string, fence: Fence): SessionStore;
  readonly ownership: Ownership;
  /** The registry's generation, as far as it is known. */
  generation(): string | undefined;
  /** Takes the restored session, which was noted in that generation. Gives false when the node stops. */
  add(session: Session, generation: string | undefined): boolean;
  /** Aborts when the node stops. */
  readonly stopping: AbortSignal;
}

/**
 * How long a request waits for an adoption that may wait for so many milliseconds: most take a few, and those it has also
 * where its time is over, or where nothing is waited for.
 */
export function adoptionWaitMs(mostMs: number): number {
  return Math.max(mostMs, 1_000);
}

/** Sessions noted that can't be read here. The oldest note goes first: it only saves a claim. */
const mostUnreadable = 10_000;

/** Restores sessions whose owners are gone: by epoch once in the cluster, and once at a time in this node. */
export class Adoptions {
  readonly #parts: AdoptionsParts;
  /** At most as many as there are sessions that requests wait for. */
  readonly #underWay = new Map<string, Promise<Adopted>>();
  /** For the life of this process: its code does not change, and no session goes back to an older version. */
  readonly #unreadable = new Set<string>();

  constructor(parts: AdoptionsParts) {
    this.#parts = parts;
  }

  underWay(id: string): Promise<Adopted> | undefined {
    return this.#underWay.get(id);
  }

  /** Takes a session over, if it is of that epoch still. Never rejects. */
  async adopt(id: string, epoch: number, from: From): Promise<Adopted> {
    if (this.#unreadable.has(id)) return { kind: "unreadable", epoch };
    let adoption = this.#underWay.get(id);
    if (adoption === undefined) {
      adoption = this.#adopt(id, epoch, from).finally(() => this.#underWay.delete(id));
      this.#underWay.set(id, adoption);
    }
    return await adoption;
  }

  async #adopt(id: string, epoch: number, from: From): Promise<Adopted> {
    const { host, registry, ownership, metrics, log, reads, owner, store, add, stopping } = this.#parts;
    const began = performance.now();
    const { ends } = ownership;
    const to = { ...owner(), reads };
    const generation = this.#parts.generation();
    let handedOver: Awaited<ReturnType<Registry["handOver"]>>;
    try {
      handedOver = await registry.handOver(id, epoch, to);
    } catch {
      metrics.registryFailed();
      return { kind: "unavailable" };
    }
    if (handedOver.kind === "unreadable") {
      const { oldest, newest } = reads;
      const why = `It is kept in format ${handedOver.format}, and this node reads ${oldest} to ${newest}: let nodes of the newer version serve it.`;
      return this.#cannotRead(id, epoch, why);
    }
    if (handedOver.kind !== "handed-over") return { kind: "not-ours" };
    const stored = handedOver.session;
    const fence = { owner: to.owner, epoch: stored.record.epoch };
    try {
      const session = await Session.restore(host, stored, { store: store(id, fence), signal: stopping });
      // A right that ended meanwhile took this session with it, although it was not here yet to be given up.
      const isOurs = ownership.mayOwn() && ownership.ends === ends;
      if (!isOurs || !add(session, generation)) {
        await session.close(isOurs ? "node-stopping" : "owner-lost");
        return { kind: "not-now" };
      }
      const ms = Math.round((performance.now() - began) * 100) / 100;
      if (from === "handed-over") metrics.moved("in");
      else metrics.adopted(ms, from);
      log.info(logged[from], { session: id, epoch: fence.epoch, ms });
      return { kind: "adopted", session };
    } catch (error) {
      if (stopping.aborted) return { kind: "not-now" };
      if (error instanceof UnreadableSession) return this.#cannotRead(id, fence.epoch, error.message);
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error("session-not-adopted", { session: id, epoch: fence.epoch, why });
      return { kind: "failed", epoch: fence.epoch };
    }
  }

  #cannotRead(id: string, epoch: number, why: string): Adopted {
    this.#unreadable.add(id);
    if (this.#unreadable.size > mostUnreadable) {
      const [oldest] = this.#unreadable;
      this.#unreadable.delete(oldest as string);
    }
    this.#parts.log.warn("session-unreadable", { session: id, epoch, why });
    return { kind: "unreadable", epoch };
  }
}
