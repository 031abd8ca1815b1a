import { RegistryError } from "../../ports/registry.ts";
import type { ClientSettings } from "./client-settings.ts";
import { pause, withDeadline } from "./deadline.ts";
import { describe, isPermanent, isReply, nextStep } from "./failure.ts";

const parts = ["commands", "subscription"] as const;

const betweenProbesMs = 100;

/**
 * The time until everything is connected for the first time. Failures that may pass, such as a Redis that starts at the
 * same time as we do, are waited for; wrong credentials are told at once.
 */
export class Startup {
  readonly #settings: ClientSettings;
  readonly #missing = new Set<(typeof parts)[number]>(parts);
  readonly #stop = new AbortController();
  #lastFailure: Error | undefined;
  #check: () => void = () => {};

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  up(part: (typeof parts)[number]): void {
    this.#missing.delete(part);
    this.#check();
  }

  failed(error: Error): void {
    this.#lastFailure = error;
    this.#check();
  }

  /** Ends the wait. */
  stop(): void {
    this.#stop.abort();
  }

  /** Resolves when all parts are up and the probe is answered. */
  async done(probe: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const ms = this.#settings.deadlines.start;
    const late = () => this.#lastFailure ?? new Error(`no answer within ${ms} ms`);
    try {
      await withDeadline({ ms, late, stop: this.#stop.signal }, async (signal) => {
        await this.#connected();
        await this.#answered(probe, signal);
      });
    } catch (error) {
      throw this.#explain(error);
    } finally {
      this.#check = () => {};
    }
  }

  async #connected(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#check = () => {
        if (this.#missing.size === 0) resolve();
        else if (isPermanent(this.#lastFailure)) reject(this.#lastFailure);
      };
      this.#check();
    });
  }

  async #answered(probe: (signal: AbortSignal) => Promise<unknown>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await probe(signal);
        return;
      } catch (error) {
        if (isPermanent(error)) throw error;
        this.#lastFailure = error instanceof Error ? error : new Error(describe(error));
      }
      await pause(betweenProbesMs, signal);
    }
  }

  #explain(error: unknown): RegistryError {
    const { target } = this.#settings;
    const code = isReply(error) ? "refused" : "unavailable";
    const what = code === "refused" ? "refuses to serve" : "can't be reached";
    return new RegistryError(code, `Redis at ${target.shown} ${what}: ${describe(error)}. ${nextStep(error, target)}`, {
      cause: error,
    });
  }
}
