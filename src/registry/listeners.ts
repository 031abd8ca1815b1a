/** Those who want to be told of something. */
export class Listeners<T> {
  readonly #listeners = new Set<(told: T) => void>();

  /** Gives the way to stop listening. */
  add(listener: (told: T) => void): () => void {
    // Wrapped, so that one function added twice is told twice, and each of the two can be stopped.
    const own = (told: T): void => listener(told);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  tell(told: T): void {
    for (const listener of [...this.#listeners]) listener(told);
  }
}
