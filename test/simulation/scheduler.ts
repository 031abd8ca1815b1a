interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** True time, which no node knows: what happens next is what comes first in the queue. */
export class Scheduler {
  /** In milliseconds since the schedule began. */
  now = 0;
  /** How many events have run. */
  steps = 0;
  #order = 0;
  /** A binary heap. */
  readonly #queue: Event[] = [];

  after(ms: number, run: () => void): void {
    const event = { at: this.now + ms, order: this.#order++, run };
    const queue = this.#queue;
    let at = queue.length;
    queue.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = queue[above] as Event;
      if (isBefore(parent, event)) break;
      queue[at] = parent;
      at = above;
    }
    queue[at] = event;
  }

  /** Runs what happens until then, or until it is enough. */
  run(until: number, enough: () => boolean = () => false): void {
    for (let next = this.#queue[0]; next !== undefined && next.at <= until && !enough(); next = this.#queue[0]) {
      this.#takeFirst();
      this.now = next.at;
      this.steps += 1;
      next.run();
    }
    if (!enough()) this.now = until;
  }

  #takeFirst(): void {
    const queue = this.#queue;
    const last = queue.pop() as Event;
    if (queue.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && isBefore(queue[child + 1] as Event, queue[child] as Event)) child += 1;
      const lower = queue[child] as Event;
      if (isBefore(last, lower)) break;
      queue[at] = lower;
      at = child;
    }
    queue[at] = last;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
