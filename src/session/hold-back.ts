/** For how long an answer is held back so that it can leave whole, in milliseconds. */
const quickMs = 20;

/** An answer that waits to be whole. */
export interface HeldBack {
  /** It takes longer: what there is has to leave now. */
  open(): void;
}

/** The time that quick answers of a node have, on one timer: one for each call would cost more than it is worth. */
export class HoldBack {
  /** When each answer's time is over, the earliest first. */
  readonly #held = new Map<HeldBack, number>();
  #timer: NodeJS.Timeout | undefined;

  add(answer: HeldBack): void {
    this.#held.set(answer, performance.now() + quickMs);
    this.#timer ??= setTimeout(() => this.#tick(), quickMs);
  }

  /** The answer has left. */
  remove(answer: HeldBack): void {
    this.#held.delete(answer);
  }

  /** Ends the timer; what is held back leaves when it is whole. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held.clear();
  }

  #tick(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [answer, due] of this.#held) {
      if (due > now) {
        this.#timer = setTimeout(() => this.#tick(), due - now);
        return;
      }
      this.#held.delete(answer);
      answer.open();
    }
  }
}
