import { errorOf } from "./thrown.ts";

/** Something to be looked at, by a server that is asked for its lists. */
export interface Checked {
  /** Rejects when the server did not answer. */
  check(): Promise<void>;
  /** It did not, several times. */
  gaveUp(error: Error): void;
}

export interface ListChecksOptions {
  /** For how long a session that came here is left alone: its first requests go before. Milliseconds. */
  readonly pauseMs?: number;
  /** From the beginning of one to that of the next. */
  readonly betweenMs?: number;
  /** From a failure to the next attempt. */
  readonly againMs?: number;
}

interface Waiting {
  readonly checked: Checked;
  readonly dueAt: number;
  readonly attempt: number;
}

/** How many are under way at a time: a server may have to ask others for what it lists. */
const mostAtOnce = 8;

const mostAttempts = 3;

/**
 * The sessions of a node whose servers are to be asked for their lists, one after another at an even pace: after the
 * death of a node, or a deploy, there are thousands of them, and all of them have requests to serve.
 */
export class ListChecks {
  readonly #pauseMs: number;
  readonly #betweenMs: number;
  readonly #againMs: number;
  /** Each in the order in which they are due. At most as many as there are sessions that came here. */
  readonly #first: Waiting[] = [];
  readonly #again: Waiting[] = [];
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** When one may begin, since another has just begun. */
  #freeAt = 0;
  #isStopped = false;

  constructor({ pauseMs = 250, betweenMs = 5, againMs = 10_000 }: ListChecksOptions = {}) {
    this.#pauseMs = pauseMs;
    this.#betweenMs = betweenMs;
    this.#againMs = againMs;
  }

  add(checked: Checked): void {
    if (this.#isStopped) return;
    this.#first.push({ checked, dueAt: performance.now() + this.#pauseMs, attempt: 1 });
    this.#arrange();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#first.length = 0;
    this.#again.length = 0;
  }

  /** Sees to it that the next one begins in time. */
  #arrange(): void {
    if (this.#isStopped || this.#underWay >= mostAtOnce) return;
    const next = this.#nextQueue()[0];
    if (next === undefined) return;
    const at = Math.max(next.dueAt, this.#freeAt);
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#begin(), Math.max(0, at - performance.now())).unref();
  }

  #begin(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const next = this.#nextQueue().shift();
    this.#freeAt = performance.now() + this.#betweenMs;
    if (next !== undefined) void this.#run(next);
    this.#arrange();
  }

  async #run({ checked, attempt }: Waiting): Promise<void> {
    this.#underWay += 1;
    try {
      await checked.check();
    } catch (error) {
      if (attempt < mostAttempts) {
        this.#again.push({ checked, dueAt: performance.now() + this.#againMs, attempt: attempt + 1 });
      } else checked.gaveUp(errorOf(error));
    }
    this.#underWay -= 1;
    this.#arrange();
  }

  /** The one whose first is due first. */
  #nextQueue(): Waiting[] {
    const due = ([first]: Waiting[]) => first?.dueAt ?? Number.POSITIVE_INFINITY;
    return due(this.#again) < due(this.#first) ? this.#again : this.#first;
  }
}
