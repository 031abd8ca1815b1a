/** For how long an answer is held back so that it can leave whole, in milliseconds. */
const quickMs = 20;

/** From when on a call counts as long, in milliseconds. */
const longMs = 1_000;

/** An answer that waits to be whole. */
export interface HeldBack {
  /** It takes longer: what there is has to leave now. */
  open(): void;
  /** It takes so long that it has to outlive this node. */
  outlive(): void;
}

/** The times that the answers of a node have, on two timers: one for each call would cost more than it is worth. */
export class HoldBack {
  readonly #quick = new Queue<HeldBack>(quickMs, (answer) => answer.open());
  readonly #long = new Queue<HeldBack>(longMs, (answer) => answer.outlive());

  add(answer: HeldBack): void {
    this.#quick.add(answer);
  }

  /** Tells the answer when it has become a long one. */
  watch(answer: HeldBack): void {
    this.#long.add(answer);
  }

  /** The answer has left, or leaves now. */
  remove(answer: HeldBack): void {
    this.#quick.remove(answer);
  }

  unwatch(answer: HeldBack): void {
    this.#long.remove(answer);
  }

  /** Ends the timers; what is held back leaves when it is whole. */
  stop(): void {
    this.#quick.stop();
    this.#long.stop();
  }
}

/** Things that have the same time each, on one timer. */
class Queue<T> {
  /** When each one's time is over, the earliest first. */
  readonly #due = new Map<T, number>();
  readonly #ms: number;
  readonly #isOver: (one: T) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, isOver: (one: T) => void) {
    this.#ms = ms;
    this.#isOver = isOver;
  }

  add(one: T): void {
    this.#due.set(one, performance.now() + this.#ms);
    this.#timer ??= setTimeout(() => this.#tick(), this.#ms);
  }

  remove(one: T): void {
    this.#due.delete(one);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due.clear();
  }

  #tick(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [one, due] of this.#due) {
      if (due > now) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#tick(), due - now);
        return;
      }
      this.#due.delete(one);
      this.#isOver(one);
    }
  }
}
