import type { Log } from "../ports/log.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";

export interface MembershipTimes {
  /** For how long the node counts as up without a sign of life, in milliseconds. */
  readonly lease: number;
  /** How often it gives one. */
  readonly renew: number;
}

/** Keeps this node in the registry for as long as it lives. */
export class Membership {
  readonly #registry: Registry;
  readonly #record: NodeRecord;
  readonly #times: MembershipTimes;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #renewal: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(registry: Registry, record: NodeRecord, times: MembershipTimes, log: Log) {
    this.#registry = registry;
    this.#record = record;
    this.#times = times;
    this.#log = log;
  }

  /** Joins; rejects when the registry does not answer. */
  async join(): Promise<void> {
    await this.#registry.join(this.#record, this.#times.lease);
    this.#schedule();
  }

  /** Leaves, so that other nodes know it at once. A registry that does not answer lets the node's time run out. */
  async leave(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#renewal;
    try {
      await this.#registry.leave(this.#record);
    } catch (error) {
      this.#log.warn("registry-write-dropped", { write: "leave", why: String(error) });
    }
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#renewal = this.#renew().finally(() => this.#schedule());
    }, this.#times.renew);
  }

  async #renew(): Promise<void> {
    try {
      await this.#registry.join(this.#record, this.#times.lease);
    } catch {
      // The registry says itself that it is not reachable; the next renewal tries again.
    }
  }
}
