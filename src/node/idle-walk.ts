import { setImmediate as endOfTurn } from "node:timers/promises";
import { type IdleTimes, isExpired, roundMs } from "../model/idle.ts";
import type { Session } from "../session/session.ts";
import type { ParkedSessions } from "./parked-sessions.ts";
import type { Parking } from "./parking.ts";

export interface IdleWalkParts {
  readonly times: IdleTimes;
  readonly parking: Parking;
  readonly parked: ParkedSessions;
  now(): number;
  /** The sessions that live here, as they come and go. */
  sessions(): Iterator<Session>;
  /** How many they are. */
  readonly size: () => number;
  /** One that this node may end or park now. */
  session(id: string): Session | undefined;
  /** Somebody waits for a session, or listens. */
  inUse(session: Session): void;
  /** Ends a session that nobody has used for too long. Never rejects. */
  expire(session: Session): Promise<void>;
  /** Ends those of these that are parked here. Never rejects. */
  expireParked(ids: readonly string[]): Promise<void>;
}

/** A round takes so many steps, if they are not too close together then. */
const stepsPerRound = 100;
const shortestStepMs = 50;

/** Sessions that are parked, or ended, at one time. */
const mostAtOnce = 4;

/** Parked sessions that are ended together. */
const batchSize = 100;

/**
 * Looks through the sessions of a node for those that are idle: on one timer, a slice of them in each step, and parks or
 * ends a few at a time. So ten thousand of them hold no request up.
 */
export class IdleWalk {
  readonly #parts: IdleWalkParts;
  readonly #stepMs: number;
  readonly #steps: number;
  #sessions: Iterator<Session> | undefined;
  #parked: Iterator<[string, number]> | undefined;
  /** What the walk has found: at most the sessions of the node. */
  readonly #idle = new Set<string>();
  readonly #expired = new Set<string>();
  readonly #working = new Set<Promise<void>>();
  #endingParked: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: IdleWalkParts) {
    this.#parts = parts;
    const ms = roundMs(parts.times);
    this.#stepMs = Math.max(shortestStepMs, ms / stepsPerRound);
    this.#steps = Math.ceil(ms / this.#stepMs);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#step(), this.#stepMs).unref();
  }

  /** Ends the timer, and waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#idle.clear();
    this.#expired.clear();
    await Promise.all([...this.#working, this.#endingParked]);
  }

  #step(): void {
    this.#lookAtSessions();
    this.#lookAtParked();
    while (this.#working.size < mostAtOnce && this.#idle.size > 0) this.#beginNext();
    if (this.#expired.size === 0) return;
    this.#endingParked ??= this.#endParked().finally(() => {
      this.#endingParked = undefined;
    });
  }

  #lookAtSessions(): void {
    const { sessions, size, parking, inUse } = this.#parts;
    for (let left = this.#sliceOf(size()); left > 0; left -= 1) {
      this.#sessions ??= sessions();
      const { value: session, done } = this.#sessions.next();
      if (done === true) {
        this.#sessions = undefined;
        return;
      }
      const now = parking.idleness(session);
      if (now === "in-use") inUse(session);
      else if (now !== "stay") this.#idle.add(session.id);
    }
  }

  #lookAtParked(): void {
    const { parked, times, now } = this.#parts;
    for (let left = this.#sliceOf(parked.size); left > 0; left -= 1) {
      this.#parked ??= parked.entries();
      const { value, done } = this.#parked.next();
      if (done === true) {
        this.#parked = undefined;
        return;
      }
      const [id, lastSeenAt] = value;
      if (isExpired(lastSeenAt, times.sessionIdle, now())) this.#expired.add(id);
    }
  }

  /** How many are looked at in a step, so that a round is over in time. */
  #sliceOf(size: number): number {
    return Math.ceil(size / this.#steps);
  }

  #beginNext(): void {
    const [id] = this.#idle;
    this.#idle.delete(id as string);
    const working = this.#settle(id as string).finally(() => {
      this.#working.delete(working);
      if (this.#timer !== undefined && this.#idle.size > 0) this.#beginNext();
    });
    this.#working.add(working);
  }

  /** What was idle when it was looked at may be in use again. */
  async #settle(id: string): Promise<void> {
    const { parking, session: find, expire } = this.#parts;
    // A turn for each: between them requests are served.
    await endOfTurn();
    const session = find(id);
    if (session === undefined) return;
    switch (parking.idleness(session)) {
      case "park":
        return await parking.park(session);
      case "expire":
        return await expire(session);
      case "in-use":
      case "stay":
        return;
    }
  }

  async #endParked(): Promise<void> {
    while (this.#timer !== undefined && this.#expired.size > 0) {
      const batch = [...this.#expired].slice(0, batchSize);
      for (const id of batch) this.#expired.delete(id);
      await this.#parts.expireParked(batch);
    }
  }
}
