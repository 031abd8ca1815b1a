/** Sessions noted at one time. The oldest note goes first: the registry names this node as their owner all the same. */
const mostNotes = 200_000;

/**
 * The sessions that are parked here, as far as this node remembers. What it says is a hint: another node may have
 * adopted one since, and the registry knows.
 */
export class ParkedSessions {
  readonly #most: number;
  /** When each was last used: milliseconds since 1970. The one that was parked first is the first. */
  readonly #lastSeenAt = new Map<string, number>();

  constructor(most = mostNotes) {
    this.#most = most;
  }

  get size(): number {
    return this.#lastSeenAt.size;
  }

  has(id: string): boolean {
    return this.#lastSeenAt.has(id);
  }

  add(id: string, lastSeenAt: number): void {
    this.#lastSeenAt.delete(id);
    this.#lastSeenAt.set(id, lastSeenAt);
    if (this.#lastSeenAt.size <= this.#most) return;
    const [oldest] = this.#lastSeenAt.keys();
    this.#lastSeenAt.delete(oldest as string);
  }

  /** It isn't parked here any more. Gives whether it was, as far as this node knew. */
  delete(id: string): boolean {
    return this.#lastSeenAt.delete(id);
  }

  clear(): void {
    this.#lastSeenAt.clear();
  }

  /** Each with the time of its last use. Goes on over notes that come and go meanwhile. */
  entries(): MapIterator<[string, number]> {
    return this.#lastSeenAt.entries();
  }
}
