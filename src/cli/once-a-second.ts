const everyMs = 1_000;

/** Says how far something is when that changed, but no more than once a second. */
export class OnceASecond {
  #said: number | undefined;
  #at = Number.NEGATIVE_INFINITY;

  say(value: number, how: () => void, now: number = performance.now()): void {
    if (value === this.#said || now - this.#at < everyMs) return;
    this.#said = value;
    this.#at = now;
    how();
  }
}
