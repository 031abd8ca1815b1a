import { eventId, messageEvent } from "./sse.ts";

/** How much of what was sent is kept for clients that ask again with Last-Event-ID. */
export interface Retention {
  /** Events of one session. */
  readonly count: number;
  /** Bytes of one session; a single larger event is kept alone. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly age: number;
  /** Bytes of all sessions of the node together. */
  readonly totalBytes: number;
}

export const defaultRetention: Retention = {
  count: 1_000,
  bytes: 1024 * 1024,
  age: 5 * 60_000,
  totalBytes: 128 * 1024 * 1024,
};

/** A sent message. */
export interface RetainedEvent {
  readonly stream: string;
  readonly sequence: number;
  json: string;
  readonly at: number;
  /** Whether it is in the session's log in the registry, or will be with the next write. */
  logged?: boolean;
}

/** The event as it goes over the wire. */
export function wire(event: RetainedEvent): string {
  return messageEvent(event.json, eventId(event.stream, event.sequence));
}

function bytesOf(event: RetainedEvent): number {
  return Buffer.byteLength(event.json);
}

/**
 * The retained events of all sessions of a node. Bounded in count, bytes and age for each session, and in bytes
 * altogether: when that is reached, the session that was silent for longest gives up its oldest events.
 */
export class RetainedEvents {
  readonly retention: Retention;
  /** Rings that hold events, the one that was silent for longest first. */
  readonly #rings = new Set<EventRing>();
  #bytes = 0;

  constructor(retention: Retention = defaultRetention) {
    this.retention = retention;
  }

  /** The events of one session. */
  ring(): EventRing {
    return new EventRing(this);
  }

  /** Bytes held now, for metrics. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Forgets events that are too old. Called now and then by the node's sweep. */
  sweep(now: number): void {
    for (const ring of this.#rings) ring.expire(now);
  }

  changed(ring: EventRing, bytes: number, empty: boolean): void {
    this.#bytes += bytes;
    if (empty) {
      this.#rings.delete(ring);
      return;
    }
    if (bytes > 0) {
      this.#rings.delete(ring);
      this.#rings.add(ring);
      this.#makeRoom();
    }
  }

  #makeRoom(): void {
    for (const ring of this.#rings) {
      while (this.#bytes > this.retention.totalBytes && ring.dropOldest());
      if (this.#bytes <= this.retention.totalBytes) return;
    }
  }
}

/** The retained events of one session, oldest first. */
export class EventRing {
  readonly #owner: RetainedEvents;
  #events: (RetainedEvent | undefined)[] = [];
  /** Where the oldest event stands in `#events`: the places before it are empty, and removed from the array in bulk. */
  #first = 0;
  #bytes = 0;

  constructor(owner: RetainedEvents) {
    this.#owner = owner;
  }

  add(event: RetainedEvent): void {
    const { count, bytes } = this.#owner.retention;
    const size = bytesOf(event);
    this.#events.push(event);
    this.#bytes += size;
    while (this.#length > 1 && (this.#length > count || this.#bytes > bytes)) this.dropOldest();
    this.#owner.changed(this, size, false);
  }

  /**
   * The events of a stream after `sequence`, of which the newest has the number `last`. Undefined when some of them
   * are no longer kept, or `sequence` comes after `last`: a client must be told so, not silently given less.
   */
  after(stream: string, sequence: number, last: number): RetainedEvent[] | undefined {
    const events: RetainedEvent[] = [];
    for (let index = this.#first; index < this.#events.length; index += 1) {
      const event = this.#events[index] as RetainedEvent;
      if (event.stream === stream && event.sequence > sequence && event.sequence <= last) events.push(event);
    }
    return events.length === last - sequence ? events : undefined;
  }

  /** What is still kept of a stream. */
  of(stream: string): RetainedEvent[] {
    return this.#all().filter((event) => event.stream === stream);
  }

  /** What is still kept of what is in the session's log. */
  logged(): RetainedEvent[] {
    return this.#all().filter((event) => event.logged === true);
  }

  /** What is still kept of what this process alone has. */
  unlogged(): RetainedEvent[] {
    return this.#all().filter((event) => event.logged !== true);
  }

  /** Puts another message in an event's place, before anybody has seen it. */
  replace(event: RetainedEvent, json: string): void {
    const before = bytesOf(event);
    event.json = json;
    if (!this.#events.includes(event)) return;
    const bytes = bytesOf(event) - before;
    this.#bytes += bytes;
    this.#owner.changed(this, bytes, false);
  }

  /** The bounds of what is kept of one session. */
  get retention(): Retention {
    return this.#owner.retention;
  }

  /** Forgets events older than the retention's age. */
  expire(now: number): void {
    const { age } = this.#owner.retention;
    for (let oldest = this.#events[this.#first]; oldest !== undefined; oldest = this.#events[this.#first]) {
      if (now - oldest.at <= age) return;
      this.dropOldest();
    }
  }

  /** Forgets the oldest event; gives false when there is none. */
  dropOldest(): boolean {
    const event = this.#events[this.#first];
    if (event === undefined) return false;
    const size = bytesOf(event);
    // Its place is emptied at once: until the array is compacted, a few large events would hold many times the bound.
    this.#events[this.#first] = undefined;
    this.#first += 1;
    this.#bytes -= size;
    if (this.#first > 64 && this.#first * 2 > this.#events.length) this.#compact();
    this.#owner.changed(this, -size, this.#length === 0);
    return true;
  }

  clear(): void {
    const bytes = this.#bytes;
    this.#events = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#owner.changed(this, -bytes, true);
  }

  #all(): RetainedEvent[] {
    return this.#events.slice(this.#first) as RetainedEvent[];
  }

  get #length(): number {
    return this.#events.length - this.#first;
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }
}

/** Puts what was logged on another node into an empty ring. */
export function restoreEvents(ring: EventRing, logged: readonly RetainedEvent[]): void {
  const newest = new Map<string, number>();
  for (const { stream, sequence, json, at } of logged) {
    // What was written twice is there twice.
    if (sequence <= (newest.get(stream) ?? 0)) continue;
    newest.set(stream, sequence);
    ring.add({ stream, sequence, json, at, logged: true });
  }
}
