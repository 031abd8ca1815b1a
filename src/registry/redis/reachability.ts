import { pause, withDeadline } from "./deadline.ts";

export interface ReachabilityOptions {
  /** Asks the server for a sign of life. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  /** For one probe. */
  readonly withinMs: number;
  /** After how long without a sign of life the connection is given up. */
  readonly silenceMs: number;
  readonly onSilence: () => void;
  readonly onChange: (change: ReachabilityChange) => void;
}

export type ReachabilityChange =
  | { readonly reachable: false; readonly reason: Error }
  | { readonly reachable: true; readonly downMs: number };

const betweenProbesMs = 200;

/**
 * Whether Redis answers. It is believed to until a call fails; from then on it is asked, and only then, until it
 * answers again: a healthy Redis gets no command for this.
 */
export class Reachability {
  readonly #options: ReachabilityOptions;
  readonly #stop = new AbortController();
  #lastFailure: Error | undefined;

  constructor(options: ReachabilityOptions) {
    this.#options = options;
  }

  /** Why Redis is thought down, or undefined when it is not. */
  get lastFailure(): Error | undefined {
    return this.#lastFailure;
  }

  failed(reason: Error): void {
    if (this.#stop.signal.aborted) return;
    const wasReachable = this.#lastFailure === undefined;
    this.#lastFailure = reason;
    if (!wasReachable) return;
    this.#options.onChange({ reachable: false, reason });
    void this.#untilItAnswers();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #untilItAnswers(): Promise<void> {
    const { withinMs, silenceMs, onSilence, onChange } = this.#options;
    const { signal } = this.#stop;
    const downSince = performance.now();
    let silentSince = downSince;
    while (!signal.aborted && !(await this.#answers(withinMs))) {
      if (performance.now() - silentSince >= silenceMs) {
        silentSince = performance.now();
        onSilence();
      }
      await pause(betweenProbesMs, signal);
    }
    if (signal.aborted) return;
    this.#lastFailure = undefined;
    onChange({ reachable: true, downMs: Math.round(performance.now() - downSince) });
  }

  async #answers(ms: number): Promise<boolean> {
    try {
      await withDeadline({ ms, late: () => new Error("no answer"), stop: this.#stop.signal }, this.#options.probe);
      return true;
    } catch {
      return false;
    }
  }
}
