import { setTimeout as sleep } from "node:timers/promises";
import { call, initialize } from "../support/raw-mcp.ts";
import { countFaults } from "./count-faults.ts";

/** One call of a session, as its client saw it. */
export interface Outcome {
  /** By the test's clock, in milliseconds. */
  readonly sentAt: number;
  readonly endedAt: number;
  readonly status: number;
  /** What `count` gave; absent when the call failed. */
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
  /** Of `count`. */
  readonly outcomes: Outcome[] = [];
  /** Of `echo`, which is called after each `count` if that is wanted. */
  readonly echoes: Outcome[] = [];
  readonly #mcp: string;
  readonly #pauseMs: number;
  readonly #echoing: boolean;
  #working = true;
  #loop: Promise<void>;

  constructor(mcp: string, id: string, pauseMs: number, echoing = false) {
    this.#mcp = mcp;
    this.id = id;
    this.#pauseMs = pauseMs;
    this.#echoing = echoing;
    this.#loop = this.#work();
  }

  static async start(mcp: string, pauseMs = 20, echoing = false): Promise<WorkingSession> {
    return new WorkingSession(mcp, await initialize(mcp), pauseMs, echoing);
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
    return [...this.outcomes, ...this.echoes].filter(({ error }) => error !== undefined);
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
      this.outcomes.push(await this.#call(id, "count"));
      await sleep(this.#pauseMs);
      if (!this.#echoing) continue;
      id += 1;
      this.echoes.push(await this.#call(id, "echo", { text: `${id} of ${this.id}` }));
      await sleep(this.#pauseMs);
    }
  }

  async #call(id: number, tool: "count" | "echo", args: { readonly text?: string } = {}): Promise<Outcome> {
    const sentAt = performance.now();
    try {
      const { status, body } = await call(this.#mcp, this.id, tool, args, id);
      const content = body.result?.structuredContent;
      const isRight = tool === "echo" ? content?.text === args.text : content?.value !== undefined;
      const said = !isRight ? { error: JSON.stringify(body) } : tool === "count" && { value: content?.value as number };
      return { sentAt, endedAt: performance.now(), status, ...said };
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
