import type { Journal, LedgerEntry, SessionChanges } from "../ports/registry.ts";
import type { RetainedEvent, Retention } from "./retained-events.ts";

/** What was taken to be written, as it was: it may have to be put back. */
interface Taken {
  readonly changes: SessionChanges;
  readonly events: readonly RetainedEvent[];
  readonly carriedBefore: number;
}

/** What of a session has changed and is not in the registry yet. Bounded as what is retained. */
export class Unwritten {
  readonly #retention: Pick<Retention, "count" | "bytes">;
  #state: Record<string, string> | undefined;
  #events: RetainedEvent[] = [];
  #bytes = 0;
  readonly #begun = new Map<string, LedgerEntry>();
  readonly #ended = new Set<string>();
  /** Calls whose beginning the registry may have, and their end not. */
  readonly #open = new Set<string>();
  #journal: Partial<Journal> | undefined;
  #pinned: string | undefined;
  #carried: number;
  #taken: Taken | undefined;
  /** How many of the events, from the oldest, have left without being logged. */
  #left = 0;

  constructor(retention: Pick<Retention, "count" | "bytes">, carried = 0) {
    this.#retention = retention;
    this.#carried = carried;
  }

  /** Whether there is what has to be written before the next message leaves. */
  get mustPrecede(): boolean {
    return (
      this.#state !== undefined ||
      this.#events.length > 0 ||
      this.#begun.size > 0 ||
      this.#journal !== undefined ||
      this.#pinned !== undefined
    );
  }

  get isEmpty(): boolean {
    return !this.mustPrecede && this.#ended.size === 0;
  }

  state(changes: Readonly<Record<string, string>>): void {
    this.#state = { ...this.#state, ...changes };
  }

  event(event: RetainedEvent): void {
    event.logged = true;
    this.#events.push(event);
    this.#bytes += event.json.length;
    this.#shorten();
  }

  begun(entry: LedgerEntry): void {
    this.#begun.set(entry.request, entry);
    // The new entry takes the place of the one that ended.
    this.#ended.delete(entry.request);
  }

  ended(request: string): void {
    const isUnwritten = this.#begun.delete(request);
    if (!isUnwritten || this.#open.has(request)) this.#ended.add(request);
  }

  /** Whether the registry may not know that a call has begun. */
  hasBeginningOf(request: string): boolean {
    return this.#begun.has(request) || this.#taken?.changes.begun?.some((entry) => entry.request === request) === true;
  }

  journal(changes: Partial<Journal>): void {
    this.#journal = { ...this.#journal, ...changes };
  }

  pinned(why: string): void {
    this.#pinned = why;
  }

  /** The registry has nothing of the session any more: all of this is to be written again. */
  again(events: readonly RetainedEvent[], begun: readonly LedgerEntry[], journal: Partial<Journal>): void {
    this.#events = [...events];
    this.#bytes = events.reduce((sum, { json }) => sum + json.length, 0);
    this.#left = events.length;
    this.#carried = 0;
    // What is on its way now is among them: if it fails, it must not come before them a second time.
    if (this.#taken !== undefined) this.#taken = { ...this.#taken, events: [], carriedBefore: 0 };
    for (const entry of begun) this.begun(entry);
    this.journal(journal);
    this.#shorten();
  }

  /** Takes all that is unwritten. {@link written} or {@link putBack} says what became of it. */
  take(carried: number): SessionChanges {
    const changes: SessionChanges = {
      ...(this.#state !== undefined && { state: this.#state }),
      ...(this.#events.length > 0 && { events: this.#events.map(loggedEvent) }),
      ...(carried > this.#carried && { carried }),
      ...(this.#begun.size > 0 && { begun: [...this.#begun.values()] }),
      ...(this.#ended.size > 0 && { ended: [...this.#ended] }),
      ...(this.#journal !== undefined && { journal: this.#journal }),
      ...(this.#pinned !== undefined && { pinned: this.#pinned }),
    };
    this.#taken = { changes, events: this.#events, carriedBefore: this.#carried };
    for (const request of this.#begun.keys()) this.#open.add(request);
    this.#state = undefined;
    this.#events = [];
    this.#bytes = 0;
    this.#begun.clear();
    this.#ended.clear();
    this.#journal = undefined;
    this.#pinned = undefined;
    this.#carried = Math.max(carried, this.#carried);
    return changes;
  }

  written(): void {
    for (const request of this.#taken?.changes.ended ?? []) {
      if (!this.#begun.has(request)) this.#open.delete(request);
    }
    this.#taken = undefined;
    this.#left = 0;
  }

  /** It could not be written, or nobody knows whether it was: what has come since goes before it. */
  putBack(): void {
    if (this.#taken === undefined) return;
    const { changes, events, carriedBefore } = this.#taken;
    this.#taken = undefined;
    if (changes.state !== undefined) this.#state = { ...(changes.state as Record<string, string>), ...this.#state };
    this.#events = [...events, ...this.#events];
    this.#bytes = this.#events.reduce((sum, { json }) => sum + json.length, 0);
    for (const request of changes.ended ?? []) {
      if (!this.#begun.has(request)) this.#ended.add(request);
    }
    for (const entry of changes.begun ?? []) {
      if (!this.#begun.has(entry.request) && !this.#ended.has(entry.request)) this.#begun.set(entry.request, entry);
    }
    if (changes.journal !== undefined) this.#journal = { ...changes.journal, ...this.#journal };
    this.#pinned ??= changes.pinned;
    this.#carried = carriedBefore;
    this.#shorten();
  }

  /** All events leave although none of them is logged. Gives how many of them had not left so before. */
  leave(): number {
    const count = this.#events.length - this.#left;
    this.#left = this.#events.length;
    return count;
  }

  /** What a log would not keep anyway need not wait for it. */
  #shorten(): void {
    const { count, bytes } = this.#retention;
    while (this.#events.length > 1 && (this.#events.length > count || this.#bytes > bytes)) {
      this.#bytes -= (this.#events.shift() as RetainedEvent).json.length;
      if (this.#left > 0) this.#left -= 1;
    }
  }
}

/** An event as the registry gets it. */
export function loggedEvent({ stream, sequence, json, at }: RetainedEvent) {
  return { stream, sequence, json, at };
}
