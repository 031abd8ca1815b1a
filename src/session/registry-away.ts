import type { SessionStore } from "./session-store.ts";

export interface RegistryAwayParts {
  readonly store: SessionStore;
  /** The registry may be back. */
  tryAgain(): void;
  /** From now on nobody will take the session over. */
  promised(): void;
  /** The time that was given to {@link RegistryAway.hold} has come. */
  heldLongEnough(): void;
}

/** How long to wait before an attempt after one that failed, in milliseconds, if nothing is heard of the registry. */
const firstRetryMs = 1_000;
const lastRetryMs = 30_000;

/**
 * The time in which the registry is away for a session, from a write that failed to the next that succeeds: when to try
 * again, and for how long what waits may be held. Made only then: most sessions never need it.
 */
export class RegistryAway {
  readonly #parts: RegistryAwayParts;
  readonly #stopListening: readonly (() => void)[];
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #hold: NodeJS.Timeout | undefined;

  constructor(parts: RegistryAwayParts) {
    this.#parts = parts;
    const { store, tryAgain, promised } = parts;
    this.#stopListening = [store.onBack(tryAgain), store.onPromised(promised)];
  }

  /** A write has failed: tries again after a while, should nobody say before that the registry is back. */
  retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
      this.#parts.tryAgain();
    }, this.#retryMs).unref();
  }

  get isHolding(): boolean {
    return this.#hold !== undefined;
  }

  /** @param until by the monotonic clock, in milliseconds */
  hold(until: number): void {
    this.#hold ??= setTimeout(
      () => {
        this.#hold = undefined;
        this.#parts.heldLongEnough();
      },
      Math.max(0, until - performance.now()),
    );
  }

  /** The registry is back, or the session needs it no more. */
  end(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#hold);
    for (const stop of this.#stopListening) stop();
  }
}
