import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

type Begin = (resume: (value: unknown) => void) => void;

/** What a process does, written down in order: it stops at each wait, and goes on when the wait is over. */
export type Work<T> = Generator<Begin, T, unknown>;

/** Waits for what calls back; the first call counts. */
export function* until<T>(begin: (done: (value: T) => void) => void): Work<T> {
  return (yield begin as Begin) as T;
}

/** Work that need not wait. */
export function atOnce<T>(act: () => T): Work<T> {
  return until<T>((done) => done(act()));
}

/** One run of a program. Frozen it does nothing, and what came meanwhile it handles in any order; gone, it is gone. */
export class Process {
  readonly #scheduler: Scheduler;
  #state: "running" | "frozen" | "gone" = "running";
  #waiting: (() => void)[] = [];
  #frozenAt = 0;
  #frozenMs = 0;
  readonly #onGone = new Set<() => void>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get isGone(): boolean {
    return this.#state === "gone";
  }

  get isFrozen(): boolean {
    return this.#state === "frozen";
  }

  /** For how long it ran so far, since the schedule began. */
  get ranMs(): number {
    const now = this.isFrozen ? this.#frozenAt : this.#scheduler.now;
    return now - this.#frozenMs;
  }

  handle(act: () => void): void {
    if (this.#state === "running") act();
    else if (this.#state === "frozen") this.#waiting.push(act);
  }

  do<T>(work: Work<T>, then: (result: T) => void = () => {}): void {
    const step = (value: unknown): void => {
      const next = work.next(value);
      if (next.done) {
        then(next.value);
        return;
      }
      let over = false;
      next.value((result) =>
        this.handle(() => {
          if (over) return;
          over = true;
          step(result);
        }),
      );
    };
    this.handle(() => step(undefined));
  }

  freeze(): void {
    if (this.#state !== "running") return;
    this.#state = "frozen";
    this.#frozenAt = this.#scheduler.now;
  }

  /** Gives how much came meanwhile. */
  thaw(random: Random): number {
    if (this.#state !== "frozen") return 0;
    this.#state = "running";
    this.#frozenMs += this.#scheduler.now - this.#frozenAt;
    const waiting = random.shuffled(this.#waiting);
    this.#waiting = [];
    for (const act of waiting) this.handle(act);
    return waiting.length;
  }

  end(): void {
    this.#state = "gone";
    this.#waiting = [];
    for (const tell of [...this.#onGone]) tell();
    this.#onGone.clear();
  }

  /** Gives the way to stop it. */
  onGone(listener: () => void): () => void {
    this.#onGone.add(listener);
    return () => this.#onGone.delete(listener);
  }
}
