import { setTimeout as sleep } from "node:timers/promises";
import type { ClaimOutcome, DeferredWrites } from "../registry/deferred-writes.ts";
import type { Ownership } from "./ownership.ts";

export interface NewSessionsParts {
  /** Whether sessions outlive their node. */
  readonly keeps: boolean;
  readonly writes: DeferredWrites;
  readonly ownership: Ownership;
  /** For how long a new session waits at most for a registry that is away, in milliseconds. */
  readonly holdMs: number;
  /** Whether it waits also while the registry is away from every node. */
  readonly strict: boolean;
}

/** New sessions that wait at one time. More are refused at once. */
const mostWaiting = 1_000;

const lookEveryMs = 20;

/**
 * Sessions that begin. No client gets the id of one that no other node would know, should this one lose its right:
 * it waits until the registry has it, or is gone for everybody.
 */
export class NewSessions {
  readonly #parts: NewSessionsParts;
  #waiting = 0;

  constructor(parts: NewSessionsParts) {
    this.#parts = parts;
  }

  /**
   * Gives whether the client of a session that is being noted may learn of it. If not, its claim may be on its way still,
   * or wait: what undoes it is a close. Never rejects.
   */
  async mayBegin(id: string, noting: Promise<ClaimOutcome>): Promise<boolean> {
    const { keeps, ownership } = this.#parts;
    const noted = await ownership.watch(noting);
    if (noted !== "deferred" || !keeps) return true;
    ownership.doubt();
    if (this.#waiting >= mostWaiting) return false;
    this.#waiting += 1;
    const may = await this.#wait(id);
    this.#waiting -= 1;
    return may;
  }

  async #wait(id: string): Promise<boolean> {
    const { writes, ownership, holdMs, strict } = this.#parts;
    const end = performance.now() + holdMs;
    while (ownership.mayOwn()) {
      if (!writes.isPending(id) || (ownership.isPromised && !strict)) return true;
      const leftMs = end - performance.now();
      if (leftMs <= 0) return false;
      await sleep(Math.min(leftMs, lookEveryMs));
    }
    return false;
  }
}
