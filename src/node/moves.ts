import { setTimeout as sleep } from "node:timers/promises";
import { type Gate, nextDrainStep } from "../model/drain.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";
import type { DeferredWrites } from "../registry/deferred-writes.ts";
import type { Session } from "../session/session.ts";
import type { Closed } from "./gates.ts";
import type { Generations } from "./generations.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { OwnerNotes } from "./owner-notes.ts";
import type { Peering } from "./peering.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import { type Refusal, takeDeadlineMs } from "./taking.ts";

export interface MovesParts {
  readonly keeper: SessionKeeper;
  readonly notes: OwnerNotes;
  readonly writes: DeferredWrites;
  readonly registry: Registry;
  readonly generations: Generations;
  readonly peering: Peering;
  /** For how long a request waits at a gate: milliseconds. */
  readonly holdMs: number;
  readonly metrics: NodeMetrics;
  readonly log: Log;
}

/** Where a session is to go, and within what time. */
export interface Journey {
  /** The next node to offer it to; those in `barred` did not take it. Undefined: nobody is left. */
  next(barred: ReadonlyMap<string, Refusal>): NodeRecord | undefined;
  /** When its turn came, by the monotonic clock. */
  readonly began: number;
  /** After how many milliseconds it moves although calls are in flight, and one that can't move ends. */
  readonly deadlineMs: number;
  /** Aborts when it need not leave any more. */
  readonly signal: AbortSignal;
}

/** What became of a session that was to leave. */
export type Departed =
  | { readonly kind: "moved"; readonly to: string }
  /** It could not move, and its time was over. */
  | { readonly kind: "ended" }
  /** It was closed or taken over meanwhile. */
  | { readonly kind: "gone" }
  /** Nobody takes it, or it need not leave any more: it is served here. */
  | { readonly kind: "stayed"; readonly refusedBy: ReadonlyMap<string, Refusal> };

/** How long a node may take to give a sign of life before a session is offered to it. */
const signDeadlineMs = 500;

/** How many sessions may be on offer to other nodes before another one begins to leave. */
const mostOnOffer = 16;

/** How soon a session is looked at again whose gate is closed, and one that is served. */
const closedLookMs = 10;
const openLookMs = 100;

/** Hands sessions over to other live nodes. */
export class Moves {
  readonly #parts: MovesParts;
  readonly #stopListening: () => void;
  readonly #departing = new Set<string>();
  /** Sessions whose gates are closed from here. */
  readonly #closed = new Set<string>();
  #onOffer = 0;
  #isRegistryThere = true;

  constructor(parts: MovesParts) {
    this.#parts = parts;
    this.#stopListening = parts.registry.onReachable((reachable) => {
      this.#isRegistryThere = reachable;
    });
  }

  stop(): void {
    this.#stopListening();
  }

  /**
   * How many sessions may begin to leave now: none, where those that left before are still to be taken. A node that was
   * offered them as fast as this one can, but is slower, would do nothing else, and lose its lease.
   */
  get room(): number {
    return Math.max(0, mostOnOffer - this.#onOffer);
  }

  /**
   * Brings a session to another node, in a moment without calls if there is one in time. Its requests wait for the moment
   * of the move only. Never rejects.
   */
  async depart(session: Session, journey: Journey): Promise<Departed> {
    const { id } = session;
    // Somebody is about it already.
    if (this.#departing.has(id) || this.#parts.keeper.gates.how(id) !== undefined)
      return { kind: "stayed", refusedBy: nobody };
    this.#departing.add(id);
    try {
      return await this.#depart(session, journey);
    } catch (error) {
      this.#parts.log.error("session-not-moved", { session: id, why: String(error) });
      return { kind: "stayed", refusedBy: nobody };
    } finally {
      this.#departing.delete(id);
      // Only its own one: somebody else may be about to park it.
      if (this.#closed.delete(id)) this.#parts.keeper.gates.open(id);
    }
  }

  async #depart(session: Session, journey: Journey): Promise<Departed> {
    const { keeper, writes, generations, holdMs } = this.#parts;
    const { gates } = keeper;
    const { began, deadlineMs, signal } = journey;
    const { id } = session;
    let gate: Gate["kind"] = "open";
    let since = Number.NEGATIVE_INFINITY;
    const turn = (to: Gate["kind"]) => {
      if (gate !== to) since = performance.now();
      gate = to;
      if (to === "closed") this.#close(id, "calls");
      else if (this.#closed.delete(id)) gates.open(id);
    };
    for (;;) {
      if (!keeper.holds(session)) return { kind: "gone" };
      if (signal.aborted) return { kind: "stayed", refusedBy: nobody };
      const now = performance.now();
      const step = nextDrainStep(
        {
          callsInFlight: session.transport.inFlight,
          gate: { kind: gate, forMs: now - since },
          isPinned: session.pinned !== undefined,
          // Just after entries were lost nobody takes a session.
          isRegistryThere: this.#isRegistryThere && !generations.quiet && !writes.isPending(id),
        },
        { sinceMs: now - began, deadlineMs, holdMs },
      );
      switch (step.kind) {
        case "end":
          keeper.endPinned(session);
          return { kind: "ended" };
        case "hold":
          turn("closed");
          await sleep(closedLookMs);
          break;
        case "wait":
          turn("open");
          await sleep(openLookMs);
          break;
        case "move":
        case "cut": {
          if (gates.how(id) === "all") {
            // It is about to be parked: then nothing is left to move, or it stays.
            await sleep(closedLookMs);
            break;
          }
          this.#close(id, "all");
          const departed = await this.#move(session, journey, step.kind === "cut");
          if (departed !== undefined) return departed;
          turn("open");
          await sleep(openLookMs);
        }
      }
    }
  }

  /** A dead node is in the table for a lease still. */
  async #nextAlive(journey: Journey, refusedBy: Map<string, Refusal>): Promise<NodeRecord | undefined> {
    for (let to = journey.next(refusedBy); to !== undefined; to = journey.next(refusedBy)) {
      const answer = await this.#parts.peering.ask(to, { kind: "load" }, signDeadlineMs);
      if (typeof answer !== "string") return to;
      refusedBy.set(to.tag, "silent");
    }
    return undefined;
  }

  #close(id: string, how: Closed): void {
    this.#closed.add(id);
    this.#parts.keeper.gates.close(id, how);
  }

  /** Undefined: not now. Its copy here goes on. */
  async #move(session: Session, journey: Journey, isCut: boolean): Promise<Departed | undefined> {
    const { keeper, notes, metrics, log } = this.#parts;
    const { id } = session;
    const began = performance.now();
    const refusedBy = new Map<string, Refusal>();
    let to = await this.#nextAlive(journey, refusedBy);
    // Nothing is ended for nothing.
    if (to === undefined) return { kind: "stayed", refusedBy };
    const isReady = (await session.prepareToLeave("moved")) === "written" && session.isReadyToLeave;
    if (!keeper.holds(session)) return { kind: "gone" };
    // A request may have passed the gate in the moment in which it closed, or its server have pinned it since.
    if (!isReady || session.pinned !== undefined || (session.transport.inFlight > 0 && !isCut)) {
      session.stay();
      return undefined;
    }
    // From here on it is nobody's in this process. Until somebody claims it, the registry names this node, and whoever
    // looks for it adopts it as from a node that is gone.
    keeper.release(session);
    void session.leave("moved").then((error) => {
      if (error !== undefined) log.warn("server-error", { session: id, error: error.message });
    });
    let { epoch } = session;
    for (; to !== undefined; to = await this.#nextAlive(journey, refusedBy)) {
      const said = await this.#offer(to, id, epoch);
      if (said.kind === "taken") {
        notes.set(id, to.tag);
        metrics.moved("out");
        const ms = Math.round((performance.now() - began) * 100) / 100;
        log.info("session-handed-over", { session: id, to: to.name, epoch: epoch + 1, ms });
        return { kind: "moved", to: to.tag };
      }
      // An answer that was lost may have been a yes: then the next one is told whose it is, and requests find it there.
      if (said.kind === "not-ours") return { kind: "gone" };
      refusedBy.set(to.tag, said.kind);
      log.warn("session-not-taken", { session: id, by: to.name, why: said.kind });
      // It claims a session before it can know that it can't restore it.
      epoch = said.epoch ?? epoch;
    }
    const back = await keeper.adopt(id, epoch, "handed-over");
    return back.kind === "adopted" ? { kind: "stayed", refusedBy } : { kind: "gone" };
  }

  async #offer(to: NodeRecord, id: string, epoch: number): Promise<Said> {
    this.#onOffer += 1;
    const answer = await this.#parts.peering.ask(to, { kind: "take", id, epoch }, takeDeadlineMs);
    this.#onOffer -= 1;
    if (typeof answer === "string") return { kind: "silent" };
    if (answer.taken === true) return { kind: "taken" };
    return { kind: answer.why as Refusal, ...(typeof answer.epoch === "number" && { epoch: answer.epoch }) };
  }
}

/** What a node says to an offer; and of which epoch the session is now, where that has changed. */
interface Said {
  readonly kind: "taken" | Refusal;
  readonly epoch?: number;
}

const nobody: ReadonlyMap<string, Refusal> = new Map();
