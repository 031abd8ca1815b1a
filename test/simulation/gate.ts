import type { Gate as SeenGate } from "../../src/model/drain.ts";
import { until, type Work } from "./process.ts";

/** calls: requests that begin calls wait. all: every request does. */
export type Closed = "calls" | "all";

/** Holds the requests of one session that is about to leave. */
export class Gate {
  #how: "open" | Closed = "open";
  #changedAt = Number.NEGATIVE_INFINITY;
  readonly #held: (() => void)[] = [];

  holds(isCall: boolean): boolean {
    return this.#how === "all" || (this.#how === "calls" && isCall);
  }

  get isOpen(): boolean {
    return this.#how === "open";
  }

  seen(now: number): SeenGate {
    return { kind: this.isOpen ? "open" : "closed", forMs: now - this.#changedAt };
  }

  close(how: Closed, now: number): void {
    if (this.isOpen) this.#changedAt = now;
    this.#how = how;
  }

  open(now: number): void {
    if (this.isOpen) return;
    this.#how = "open";
    this.#changedAt = now;
    for (const goOn of this.#held.splice(0)) goOn();
  }

  /** Waits until it opens, or for as long as somebody else says. */
  wait(giveUp: (done: () => void) => void): Work<void> {
    return until<void>((done) => {
      this.#held.push(() => done());
      giveUp(() => done());
    });
  }
}
