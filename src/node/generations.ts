import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import { Listeners } from "../registry/listeners.ts";

export interface GenerationsParts {
  readonly registry: Registry;
  /** For how long after a loss nobody adopts: milliseconds. */
  readonly lease: number;
  readonly log: Log;
}

/** Whether the registry's entries are still those that this node knew, or were lost since. */
export class Generations {
  readonly #parts: GenerationsParts;
  readonly #listeners = new Listeners<void>();
  #known: string | undefined;
  /** When entries were lost, by the monotonic clock. */
  #lostAt = Number.NEGATIVE_INFINITY;
  #checking: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(parts: GenerationsParts) {
    this.#parts = parts;
  }

  /** The last that the registry told; undefined before the first time. */
  get known(): string | undefined {
    return this.#known;
  }

  /** Entries were lost less than a lease ago: their owners are writing them again, and nobody may adopt. */
  get quiet(): boolean {
    return performance.now() - this.#lostAt < this.#parts.lease;
  }

  /** Calls back when entries were lost: what this node owns has to be written again. Gives the way to stop it. */
  onLost(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Asks the registry, after this was called: a question that is on its way already may be older than what the caller
   * found missing. Rejects with a RegistryError when it does not answer.
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
