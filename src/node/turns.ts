/** Lets so many be busy at a time; the others wait, first come, first served. As many wait as are given. */
export class Turns {
  readonly #most: number;
  readonly #longestMs: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  /** @param longestMs who takes longer is not waited for: it may never end */
  constructor(most: number, longestMs: number) {
    this.#most = most;
    this.#longestMs = longestMs;
  }

  /** Runs it when its turn has come. */
  async run<T>(act: () => Promise<T>): Promise<T> {
    if (this.#busy < this.#most) this.#busy += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const next = this.#waiting.shift();
      // It takes over the place of this one.
      if (next === undefined) this.#busy -= 1;
      else next();
    };
    const timer = setTimeout(end, this.#longestMs).unref();
    try {
      return await act();
    } finally {
      end();
    }
  }
}
