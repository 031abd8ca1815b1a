import { type Idleness, type IdleTimes, idleness } from "../model/idle.ts";
import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import type { DeferredWrites } from "../registry/deferred-writes.ts";
import type { Settled } from "../session/outbox.ts";
import type { Session } from "../session/session.ts";
import type { Gates } from "./gates.ts";
import type { Generations } from "./generations.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { ParkedSessions } from "./parked-sessions.ts";

export interface ParkingParts {
  readonly times: IdleTimes;
  /** Whether sessions outlive their node: only then can one leave memory. */
  readonly keeps: boolean;
  readonly gates: Gates;
  readonly parked: ParkedSessions;
  readonly registry: Registry;
  readonly writes: DeferredWrites;
  readonly generations: Generations;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  now(): number;
  /** Whether this very copy lives here still. */
  holds(session: Session): boolean;
  /** Takes a session out that is ready to leave. */
  release(session: Session): void;
}

/** For how long no session is parked after one could not be written, if nothing is heard of the registry: milliseconds. */
const pauseMs = 5_000;

/**
 * Lets idle sessions leave memory. All of a session is written first, while its requests wait at a gate: then its copy
 * ends, the registry goes on naming this node as its owner, and its next request adopts it. What can't be written stays.
 */
export class Parking {
  readonly #parts: ParkingParts;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopListening: () => void;
  #isRegistryThere = true;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(parts: ParkingParts) {
    this.#parts = parts;
    this.#stopListening = parts.registry.onReachable((reachable) => {
      this.#isRegistryThere = reachable;
      this.#pausedUntil = Number.NEGATIVE_INFINITY;
    });
  }

  /** What becomes of a session that lives here now. */
  idleness(session: Session): Idleness {
    const { transport, lastSeenAt, pinned, hasStartedTask } = session;
    const { streams, inFlight, hasUnread } = transport;
    const canBeKept = this.#canWrite && !this.#parts.writes.isPending(session.id);
    const use = { lastSeenAt, streams, inFlight, hasUnread, hasStartedTask, pinned, canBeKept };
    return idleness(use, this.#parts.times, this.#parts.now());
  }

  /** Parks a session, unless somebody is about it, or something happens to it meanwhile. Never rejects. */
  async park(session: Session): Promise<void> {
    const { gates } = this.#parts;
    const { id } = session;
    if (this.#stopped || gates.how(id) !== undefined) return;
    gates.close(id, "all");
    const parking = this.#park(session).finally(() => {
      gates.open(id);
      this.#underWay.delete(parking);
    });
    this.#underWay.add(parking);
    await parking;
  }

  /** Begins nothing more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    await Promise.all(this.#underWay);
  }

  /** The registry answers, as far as is known, and has not lost what it had. */
  get #canWrite(): boolean {
    const { keeps, generations } = this.#parts;
    return keeps && this.#isRegistryThere && performance.now() >= this.#pausedUntil && !generations.quiet;
  }

  async #park(session: Session): Promise<void> {
    const settled = await session.prepareToLeave("parked");
    // Closed, lost or given up meanwhile.
    if (!this.#parts.holds(session)) return;
    // A request may have passed the gate in the moment in which it closed.
    if (settled === "written" && this.idleness(session) === "park" && session.isReadyToLeave)
      await this.#leave(session);
    else this.#stay(session, settled);
  }

  async #leave(session: Session): Promise<void> {
    const { id, epoch, lastSeenAt } = session;
    const { parked, log, metrics, now, release } = this.#parts;
    release(session);
    parked.add(id, lastSeenAt);
    metrics.sessionParked();
    // What it holds in this process is let go before it comes back.
    const error = await session.leave("parked");
    const idleMs = now() - lastSeenAt;
    log.info("session-parked", { session: id, epoch, idleMs, ...(error && { error: error.message }) });
  }

  #stay(session: Session, settled: Settled): void {
    const { id, epoch } = session;
    if (settled === "unavailable") this.#pausedUntil = performance.now() + pauseMs;
    this.#parts.log.debug("session-not-parked", {
      session: id,
      epoch,
      why: settled === "written" ? "in use" : settled,
    });
    session.stay();
  }
}
