import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import { Listeners } from "../registry/listeners.ts";

export interface GenerationsParts {
  readonly registry: Registry;
  /** For how long after a loss nobody adopts: milliseconds. */
  readonly lease: number;
  readonly log: Log;
}

/**
 * How far what the registry does not have can be taken for what is not: whether its entries are still those that this
 * node knew or were lost since, and whether it was away.
 */
export class Generations {
  readonly #parts: GenerationsParts;
  readonly #listeners = new Listeners<void>();
  #known: string | undefined;
  #isAway = false;
  /** When the registry was back after it had been away, by the monotonic clock. */
  #backAt = Number.NEGATIVE_INFINITY;
  /** When entries were lost, by the monotonic clock. */
  #lostAt = Number.NEGATIVE_INFINITY;
  #checking: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(parts: GenerationsParts) {
    this.#parts = parts;
    parts.registry.onReachable((reachable) => {
      this.#isAway = !reachable;
      if (reachable) this.#backAt = performance.now();
    });
  }

  /** The last that the registry told; undefined before the first time. */
  get known(): string | undefined {
    return this.#known;
  }

  /** Entries were lost less than a lease ago: their owners are writing them again, and nobody may adopt. */
  get quiet(): boolean {
    return performance.now() - this.#lostAt < this.#parts.lease;
  }

  /**
   * A session that the registry does not have may exist: entries were lost, or the registry was away from this node,
   * less than a lease ago, and so may have been away from an owner that has yet to write what it began meanwhile.
   */
  get incomplete(): boolean {
    return this.quiet || this.#isAway || performance.now() - this.#backAt < this.#parts.lease;
  }

  /** Calls back when entries were lost: what this node owns has to be written again. Gives the way to stop it. */
  onLost(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Asks the registry, after this was called: a question that is on its way already may be older than what the caller
   * found missing. To be called after something was not there, and before that is believed. That this is a second read,
   * not one with the first, changes nothing: a loss before the first is seen by the second, and one between the two only
   * makes this node wait. (One read they can't be: in Redis Cluster they are in different slots.) Rejects
   * with a RegistryError when it does not answer.
   */
  async check(): Promise<void> {
    if (this.#checking === undefined) return await this.#begin();
    this.#next ??= this.#checking
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    await this.#next;
  }

  async #begin(): Promise<void> {
    this.#checking = this.#check().finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  async #check(): Promise<void> {
    const before = this.#known;
    const { id, lostAgoMs } = await this.#parts.registry.generation(before);
    this.#known = id;
    if (lostAgoMs !== undefined) this.#lostAt = performance.now() - lostAgoMs;
    if (before === undefined || before === id) return;
    this.#parts.log.warn("registry-lost-entries", { generation: id, before });
    this.#listeners.tell();
  }
}
