import type { LedgerEntry, LoggedEvent, SessionChanges, StoredSession } from "../../src/ports/registry.ts";
import type { Kept, SessionStore } from "../../src/session/session-store.ts";
import { eventually } from "../support/eventually.ts";

interface Write {
  readonly changes: SessionChanges;
  end(kept: Kept): void;
}

/** A registry's entries of one session, in memory: the test says when a write ends, and how. */
export class FakeStore implements SessionStore {
  /** What each write ends with, at once; undefined: the test ends it by {@link end}. */
  answers: Kept | undefined = "written";
  isOwner = true;
  /** Whether the registry is gone for every node, while it is away. */
  promised = true;
  /** Every write that was begun. */
  readonly begun: SessionChanges[] = [];
  /** What is kept after each write that succeeded, the first before any. */
  readonly boundaries: StoredSession[] = [];
  /** Called before each write takes effect: what a client has seen by then has to be in what is kept so far. */
  beforeBoundary: () => void = () => {};
  readonly #record: StoredSession["record"];
  readonly #writes: Write[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #promisedListeners = new Set<() => void>();

  constructor(stored: StoredSession) {
    this.#record = stored.record;
    this.boundaries.push(stored);
  }

  /** A session of which nothing is kept but how its client began it. */
  static new(initialize: string): FakeStore {
    const record = {
      id: "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA",
      owner: { tag: "k3f9q2", incarnation: "one" },
      epoch: 1,
      createdAt: 0,
      client: "raw/1",
      journal: { initialize },
    };
    return new FakeStore({ record, state: {}, events: [], sequence: 0, carried: 0, ledger: [] });
  }

  /** What is kept now. */
  get stored(): StoredSession {
    return this.boundaries.at(-1) as StoredSession;
  }

  /** What the next owner gets that takes over after a write. */
  static handedOver(stored: StoredSession): StoredSession {
    return { ...stored, record: { ...stored.record, epoch: stored.record.epoch + 1 } };
  }

  owns(): boolean {
    return this.isOwner;
  }

  write(changes: SessionChanges): Promise<Kept> {
    this.begun.push(structuredClone(changes));
    return new Promise((resolve) => {
      const end = (kept: Kept) => {
        if (kept === "written") {
          this.beforeBoundary();
          this.boundaries.push(applied(this.stored, changes));
        }
        resolve(kept);
      };
      const { answers } = this;
      if (answers !== undefined) setImmediate(() => end(answers));
      else this.#writes.push({ changes, end });
    });
  }

  onBack(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  isPromised(): boolean {
    return this.promised;
  }

  onPromised(listener: () => void): () => void {
    this.#promisedListeners.add(listener);
    return () => this.#promisedListeners.delete(listener);
  }

  /** Every other node promises. */
  promise(): void {
    this.promised = true;
    for (const listener of [...this.#promisedListeners]) listener();
  }

  /** The registry is back. */
  back(): void {
    this.answers = "written";
    for (const listener of [...this.#listeners]) listener();
  }

  /** The next write that the test has to end. */
  async next(): Promise<Write> {
    return await eventually(() => {
      const write = this.#writes.shift();
      if (write === undefined) throw new Error("No write has begun");
      return write;
    });
  }

  get waiting(): number {
    return this.#writes.length;
  }

  /** The record, with the journal as it was written. */
  get record(): StoredSession["record"] {
    return this.#record;
  }
}

/** What is kept after a write. */
function applied(stored: StoredSession, changes: SessionChanges): StoredSession {
  const state: Record<string, string> = { ...stored.state };
  for (const [key, json] of Object.entries(changes.state ?? {})) {
    if (json === undefined) delete state[key];
    else state[key] = json;
  }
  const ledger = new Map<string, LedgerEntry>(stored.ledger.map((entry) => [entry.request, entry]));
  for (const request of changes.ended ?? []) ledger.delete(request);
  for (const entry of changes.begun ?? []) ledger.set(entry.request, entry);
  const events: readonly LoggedEvent[] = [...stored.events, ...(changes.events ?? [])];
  const numbers = events.filter(({ stream }) => stream === "s").map(({ sequence }) => sequence);
  const { journal = { initialize: "" } } = stored.record;
  return {
    record: {
      ...stored.record,
      journal: { ...journal, ...changes.journal, initialize: journal.initialize },
      pinned: changes.pinned ?? stored.record.pinned,
    },
    state,
    events,
    sequence: Math.max(stored.sequence, ...numbers),
    carried: changes.carried ?? stored.carried,
    ledger: [...ledger.values()],
  };
}
