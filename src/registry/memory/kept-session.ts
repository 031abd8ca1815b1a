import type {
  Fence,
  Journal,
  LedgerEntry,
  LoggedEvent,
  NewOwner,
  SessionChanges,
  SessionRecord,
  StoredSession,
} from "../../ports/registry.ts";
import { inOrder, logBounds, standaloneStream } from "../event-log.ts";

/** All that is kept of one session in memory. */
export class KeptSession {
  #record: SessionRecord;
  readonly #state = new Map<string, string>();
  #events: LoggedEvent[] = [];
  #bytes = 0;
  /** When all events are too old, if none is added: milliseconds since 1970. */
  #eventsUntil = 0;
  #sequence = 0;
  #carried = 0;
  readonly #ledger = new Map<string, LedgerEntry>();
  /** Of the last claim or write of this owner in this epoch. */
  #number: number;

  constructor(record: SessionRecord, number = 0) {
    this.#record = copy(record);
    this.#number = number;
  }

  get fence(): Fence {
    const { owner, epoch } = this.#record;
    return { owner: { ...owner }, epoch };
  }

  get record(): SessionRecord {
    return copy(this.#record);
  }

  /** Whether what has this number comes after what was sent in its place. */
  isLate(number: number | undefined): boolean {
    return number !== undefined && number < this.#number;
  }

  /** Takes the record that the same owner claims with. */
  note(record: SessionRecord, number = this.#number): void {
    this.#record = copy(record);
    this.#number = number;
  }

  handOver({ owner, peer }: NewOwner): void {
    this.#record = { ...this.#record, owner: { ...owner }, peer, epoch: this.#record.epoch + 1 };
    this.#number = 0;
  }

  write(changes: SessionChanges, now: number, number = this.#number): void {
    this.#number = number;
    const { state = {}, events = [], carried, begun = [], ended = [], journal = {}, pinned } = changes;
    for (const [key, value] of Object.entries(state)) {
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, value);
    }
    this.#sequence = events.reduce(
      (newest, event) => (event.stream === standaloneStream ? event.sequence : newest),
      this.#sequence,
    );
    if (carried !== undefined) this.#carried = carried;
    for (const request of ended) this.#ledger.delete(request);
    for (const entry of begun) this.#ledger.set(entry.request, { ...entry });
    this.#record = {
      ...this.#record,
      journal: amended(this.#record.journal, journal),
      ...(pinned === undefined ? {} : { pinned }),
    };
    if (events.length > 0) this.#log(events, now);
  }

  all(now: number): StoredSession {
    return {
      record: this.record,
      state: Object.fromEntries(this.#state),
      events: this.#eventsUntil > now ? inOrder(this.#events).map((event) => ({ ...event })) : [],
      sequence: Math.max(this.#sequence, this.#carried),
      carried: this.#carried,
      ledger: [...this.#ledger.values()].map((entry) => ({ ...entry })),
    };
  }

  #log(events: readonly LoggedEvent[], now: number): void {
    if (this.#eventsUntil <= now) {
      this.#events = [];
      this.#bytes = 0;
    }
    for (const event of events) {
      this.#events.push({ ...event });
      this.#bytes += Buffer.byteLength(event.json);
    }
    let gone = 0;
    for (const event of this.#events) {
      const fits = this.#events.length - gone <= logBounds.count && this.#bytes <= logBounds.bytes;
      if (fits && event.at >= now - logBounds.age) break;
      this.#bytes -= Buffer.byteLength(event.json);
      gone += 1;
    }
    this.#events.splice(0, gone);
    this.#eventsUntil = now + logBounds.age;
  }
}

/** A journal with what changed of it; none without the `initialize` that it begins with. */
function amended(journal: Journal | undefined, changes: Partial<Journal>): Journal | undefined {
  const initialize = changes.initialize ?? journal?.initialize;
  if (initialize === undefined) return journal;
  const { level = journal?.level, subscriptions = journal?.subscriptions, lists = journal?.lists } = changes;
  return {
    initialize,
    level,
    subscriptions: subscriptions === undefined ? undefined : [...subscriptions],
    lists: lists === undefined ? undefined : { ...lists },
  };
}

/** A record that nobody else can change. */
function copy(record: SessionRecord): SessionRecord {
  return structuredClone(record);
}
