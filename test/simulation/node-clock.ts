import type { Reading } from "../../src/model/lease.ts";
import type { Scheduler } from "./scheduler.ts";

/** A machine's two clocks. Both go a little too fast or too slow; one can be set, the other stands still in its sleep. */
export class NodeClock {
  readonly #scheduler: Scheduler;
  /** Seconds it counts in a true second. */
  readonly rate: number;
  /** Whether its wall clock was set back: then its sleep would go unnoticed by both clocks. */
  setBack = false;
  #aheadMs: number;
  #sleptMs = 0;
  #asleepSince: number | undefined;

  constructor(scheduler: Scheduler, rate: number, aheadMs: number) {
    this.#scheduler = scheduler;
    this.rate = rate;
    this.#aheadMs = aheadMs;
  }

  read(): Reading {
    const { now } = this.#scheduler;
    const slept = this.#sleptMs + (this.#asleepSince === undefined ? 0 : now - this.#asleepSince);
    return { monotonic: (now - slept) * this.rate, wall: now * this.rate + this.#aheadMs };
  }

  /** How long it truly takes until the clock has counted so much. */
  truly(ms: number): number {
    return ms / this.rate;
  }

  set(byMs: number): void {
    this.#aheadMs += byMs;
    this.setBack ||= byMs < 0;
  }

  get isAsleep(): boolean {
    return this.#asleepSince !== undefined;
  }

  sleep(): void {
    this.#asleepSince ??= this.#scheduler.now;
  }

  wake(): void {
    if (this.#asleepSince !== undefined) this.#sleptMs += this.#scheduler.now - this.#asleepSince;
    this.#asleepSince = undefined;
  }
}
