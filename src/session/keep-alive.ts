/** A stream that wants a sign of life now and then. */
export interface KeptAlive {
  keepAlive(): void;
}

const tickMs = 100;

/**
 * Keep-alives of all open streams of a node, on one timer. Each tick serves one slice of the streams: a sweep over ten
 * thousand streams at once would block the event loop for a tenth of a second.
 */
export class KeepAlive {
  readonly #slices: Set<KeptAlive>[];
  readonly #sliceOf = new Map<KeptAlive, Set<KeptAlive>>();
  #next = 0;
  /** The slice that the stream opened last was put into. */
  #filled = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param everyMs how often each stream gets a sign of life */
  constructor(everyMs = 15_000) {
    const count = Math.max(1, Math.round(everyMs / tickMs));
    this.#slices = Array.from({ length: count }, () => new Set());
  }

  /** Streams open now. */
  get size(): number {
    return this.#sliceOf.size;
  }

  add(stream: KeptAlive): void {
    // In turns: streams often open all at once, after a deploy say, and must not make up one slice together.
    this.#filled = (this.#filled + 1) % this.#slices.length;
    const slice = this.#slices[this.#filled] as Set<KeptAlive>;
    slice.add(stream);
    this.#sliceOf.set(stream, slice);
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
  }

  remove(stream: KeptAlive): void {
    this.#sliceOf.get(stream)?.delete(stream);
    this.#sliceOf.delete(stream);
    if (this.#sliceOf.size === 0) this.stop();
  }

  /** Ends the timer. It starts again with the next stream. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const slice = this.#slices[this.#next] as Set<KeptAlive>;
    this.#next = (this.#next + 1) % this.#slices.length;
    for (const stream of slice) stream.keepAlive();
  }
}
