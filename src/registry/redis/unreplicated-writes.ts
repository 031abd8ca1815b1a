import type { Log } from "../../ports/log.ts";

/** How often it is logged that writes are on no replica, at most. */
const logEveryMs = 10_000;

/** Counts the writes that no replica had in time, and says so: at once, then now and then. */
export class UnreplicatedWrites {
  readonly #log: Log;
  readonly #redis: string;
  #count = 0;
  #logged = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(log: Log, redis: string) {
    this.#log = log;
    this.#redis = redis;
  }

  get count(): number {
    return this.#count;
  }

  add(writes: number, why: string): void {
    this.#count += writes;
    const now = performance.now();
    if (now - this.#loggedAt < logEveryMs) return;
    this.#log.warn("registry-not-replicated", { redis: this.#redis, writes: this.#count - this.#logged, why });
    this.#loggedAt = now;
    this.#logged = this.#count;
  }
}
