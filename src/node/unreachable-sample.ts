/** Far more than the nodes of a cluster. */
const maxNodes = 1_000;
const everyMs = 10_000;

/**
 * Which failures to reach a node are logged: the first of each node, then one in ten seconds. A held request tries again
 * many times a second.
 */
export class UnreachableSample {
  /** Oldest first. */
  readonly #nodes = new Map<string, { readonly loggedAt: number; count: number }>();

  /**
   * Counts a failure. Gives how many there were since the last one that was logged, this one included, when it should be
   * logged.
   *
   * @param now monotonic, in milliseconds
   */
  count(tag: string, now: number): number | undefined {
    const known = this.#nodes.get(tag);
    const count = (known?.count ?? 0) + 1;
    if (known !== undefined && now - known.loggedAt < everyMs) {
      known.count = count;
      return undefined;
    }
    this.#nodes.delete(tag);
    this.#nodes.set(tag, { loggedAt: now, count: 0 });
    if (this.#nodes.size > maxNodes) {
      const [oldest] = this.#nodes.keys();
      this.#nodes.delete(oldest as string);
    }
    return count;
  }
}
