import { setTimeout as sleep } from "node:timers/promises";
import { call, initialize } from "../support/raw-mcp.ts";
import { countFaults } from "./count-faults.ts";

/** One call of a session, as its client saw it. */
export interface Outcome {
  /** By the test's clock, in milliseconds. */
  readonly sentAt: number;
  readonly endedAt: number;
  readonly status: number;
  /** What the tool gave; absent when the call failed. */
  readonly value?: number;
  /** Whether its answer says that nobody knows whether it ran. */
  readonly unsure?: boolean;
  readonly error?: string;
}

/**
 * A session at work, as a client without cookies has it: one call of `count` after another. A call that fails is not
 * repeated; the next one is a call of its own.
 */
export class WorkingSession {
  readonly id: string;
  readonly outcomes: Outcome[] = [];
  readonly #mcp: string;
  readonly #pauseMs: number;
  #working = true;
  #loop: Promise<void>;

  private constructor(mcp: string, id: string, pauseMs: number) {
    this.#mcp = mcp;
    this.id = id;
    this.#pauseMs = pauseMs;
    this.#loop = this.#work();
  }

  static async start(mcp: string, pauseMs = 20): Promise<WorkingSession> {
    return new WorkingSession(mcp, await initialize(mcp), pauseMs);
  }

  get home(): string {
    return this.id.split(".")[0] as string;
  }

  async stop(): Promise<void> {
    this.#working = false;
    await this.#loop;
  }

  /** The values that its client got, in their order. */
  get acknowledged(): number[] {
    return this.outcomes.flatMap(({ value }) => (value === undefined ? [] : [value]));
  }

  get failures(): Outcome[] {
    return this.outcomes.filter(({ value }) => value === undefined);
  }

  /** How long after a moment the first call that was sent since then had its good answer. */
  recoveredAfter(moment: number): number {
    const first = this.outcomes.find(({ endedAt, value }) => endedAt > moment && value !== undefined);
    return first === undefined ? Number.POSITIVE_INFINITY : first.endedAt - moment;
  }

  /** What is wrong with the values that were acknowledged. */
  faults(): string[] {
    return countFaults(this.id, this.outcomes);
  }

  async #work(): Promise<void> {
    for (let id = 1; this.#working; id += 1) {
      this.outcomes.push(await this.#count(id));
      await sleep(this.#pauseMs);
    }
  }

  async #count(id: number): Promise<Outcome> {
    const sentAt = performance.now();
    try {
      const { status, body } = await call(this.#mcp, this.id, "count", {}, id);
      const value = body.result?.structuredContent?.value as number | undefined;
      const failure = value === undefined ? { error: JSON.stringify(body) } : { value };
      return { sentAt, endedAt: performance.now(), status, ...failure };
    } catch (error) {
      return { sentAt, endedAt: performance.now(), status: 0, error: String(error) };
    }
  }
}

/** The middle of some figures, and the largest. */
export function spread(figures: readonly number[]): { readonly p50: number; readonly max: number } {
  const sorted = [...figures].sort((a, b) => a - b);
  return { p50: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}
