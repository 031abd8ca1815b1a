import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";

export interface RenewalsOptions {
  readonly registry: Registry;
  readonly log: Log;
  readonly renewEveryMs?: number;
}

const batchSize = 500;

/**
 * Gives the sessions that were used their full TTL again: not by request but by the hour, and many at a time. A session
 * that the registry does not have is never created by this; that it is missing is logged.
 */
export class Renewals {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #renewEveryMs: number;
  /** At most the sessions that live on this node: {@link forget} takes out those that end. */
  readonly #touched = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor({ registry, log, renewEveryMs = 60 * 60 * 1_000 }: RenewalsOptions) {
    this.#registry = registry;
    this.#log = log;
    this.#renewEveryMs = renewEveryMs;
    this.#schedule();
  }

  /** Marks a session as used. Costs nothing that a request would feel. */
  touched(id: string): void {
    this.#touched.add(id);
  }

  /** Takes the mark back: the session ended. */
  forget(id: string): void {
    this.#touched.delete(id);
  }

  /** Renews all marked sessions. Those that fail stay marked for the next time. */
  async renew(): Promise<void> {
    this.#running ??= this.#renewAll().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(): void {
    if (this.#stopped) return;
    // A tenth more or less by chance, so that the nodes of a cluster don't renew in one moment.
    const ms = this.#renewEveryMs * (0.9 + Math.random() / 5);
    this.#timer = setTimeout(() => void this.renew().finally(() => this.#schedule()), ms);
    this.#timer.unref();
  }

  async #renewAll(): Promise<void> {
    const ids = [...this.#touched];
    for (let start = 0; start < ids.length && !this.#stopped; start += batchSize) {
      const batch = ids.slice(start, start + batchSize).filter((id) => this.#touched.has(id));
      try {
        const missing = new Set(await this.#registry.renew(batch));
        for (const id of batch) {
          // One that was forgotten meanwhile ended meanwhile: then it has to be missing.
          if (this.#touched.delete(id) && missing.has(id)) this.#log.warn("registry-entry-missing", { session: id });
        }
      } catch {
        // The registry's own log says why. Thirty days leave time for many more attempts.
        return;
      }
    }
  }
}
