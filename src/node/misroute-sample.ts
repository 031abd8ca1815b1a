const maxSessions = 10_000;
const every = 100;

/**
 * Which misroutes are logged: the first of each session on this node, then every hundredth, so that a client without
 * cookies is seen in the log but doesn't fill it.
 */
export class MisrouteSample {
  /** Oldest first. */
  readonly #counts = new Map<string, number>();

  /** Counts a misroute; gives its number when it should be logged. */
  count(session: string): number | undefined {
    const number = (this.#counts.get(session) ?? 0) + 1;
    this.#counts.set(session, number);
    if (this.#counts.size > maxSessions) {
      const [oldest] = this.#counts.keys();
      this.#counts.delete(oldest as string);
    }
    return number % every === 1 ? number : undefined;
  }
}
