import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";

export interface RenewalsOptions {
  readonly registry: Registry;
  readonly log: Log;
  /** The registry does not have these, which are in use here. */
  readonly onMissing?: (ids: readonly string[]) => void;
  readonly renewEveryMs?: number;
}

const batchSize = 500;

/**
 * Gives the sessions that were used their full TTL again: not by request but by the hour, and many at a time. A session
 * that the registry does not have is never created by this; that it is missing is logged, and told to whoever can find
 * out why.
 */
export class Renewals {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #onMissing: (ids: readonly string[]) => void;
  readonly #renewEveryMs: number;
  /** At most the sessions that live on this node: {@link forget} takes out those that end. */
  readonly #touched = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor({ registry, log, onMissing = () => {}, renewEveryMs = 60 * 60 * 1_000 }: RenewalsOptions) {
    this.#registry = registry;
    this.#log = log;
    this.#onMissing = onMissing;
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
        const absent = new Set(await this.#registry.renew(batch));
        // One that was forgotten meanwhile ended meanwhile: then it has to be missing.
        const missing = batch.filter((id) => this.#touched.delete(id) && absent.has(id));
        for (const id of missing) this.#log.warn("registry-entry-missing", { session: id });
        if (missing.length > 0) this.#onMissing(missing);
      } catch {
        // The registry's own log says why. Thirty days leave time for many more attempts.
        return;
      }
    }
  }
}
