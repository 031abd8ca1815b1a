import type {
  Fence,
  LedgerEntry,
  LoggedEvent,
  SessionChanges,
  SessionRecord,
  StoredSession,
} from "../../src/ports/registry.ts";
import { standaloneStream } from "../../src/registry/event-log.ts";
import type { Run } from "./observer.ts";

export interface CopyStart {
  readonly createdAt: number;
  /** By its node's clock. */
  readonly now: number;
  readonly isPinned: boolean;
  readonly shape: number;
}

/** A session's in-process state on a node. */
export class Copy {
  readonly id: string;
  readonly fence: Fence;
  readonly createdAt: number;
  count = 0;
  /** The notifications that its task has made. */
  readonly events: LoggedEvent[] = [];
  /** How many of them may leave. */
  sent = 0;
  /** Calls that run, or whose answer did not leave. */
  readonly calls = new Map<string, Run>();
  /** Requests that are open, and when the last one came or ended, by its node's clock. */
  requests = 0;
  usedAt: number;
  /** Since when it is on this node, by its clock. */
  readonly since: number;
  /** Whether its server said that its state can't move. */
  readonly isPinned: boolean;
  /** The version of the state's shape, which is that of the app that holds it. */
  readonly shape: number;
  /** Whether somebody leads it out of its node. */
  isLeaving = false;
  /** Counts starts of its task: an earlier one ends. */
  taskStarts = 0;
  /** Calls that an earlier owner began. */
  readonly begunBefore = new Set<string>();
  /** Counts changes; `written`: up to which the registry has them. */
  version = 0;
  written = 0;
  /** Up to which an answer left that was not written, because the registry was away for everybody. */
  answeredUnwritten = 0;
  /** In which generation of the registry it was noted. */
  noted: string | undefined;
  /** When, truly, all of it was last in the registry. */
  keptAt: number = Number.NEGATIVE_INFINITY;
  /** Why it is not served any more. */
  gone: string | undefined;
  readonly #ledger = new Map<string, { readonly entry: LedgerEntry; isWritten: boolean }>();
  readonly #ended = new Set<string>();
  #eventsWritten = 0;

  constructor(id: string, fence: Fence, { createdAt, now, isPinned, shape }: CopyStart) {
    this.id = id;
    this.fence = fence;
    this.createdAt = createdAt;
    this.since = this.usedAt = now;
    this.isPinned = isPinned;
    this.shape = shape;
  }

  static restored({ record, state, events, ledger }: StoredSession, now: number, shape: number): Copy {
    const { id, owner, epoch, createdAt, pinned } = record;
    const copy = new Copy(id, { owner, epoch }, { createdAt, now, isPinned: pinned !== undefined, shape });
    copy.count = Number(state.count ?? 0);
    copy.events.push(...events);
    copy.sent = events.length;
    copy.#eventsWritten = events.length;
    for (const entry of ledger) copy.begunBefore.add(entry.request);
    return copy;
  }

  record(peer: string): SessionRecord {
    const { id, createdAt, fence, isPinned } = this;
    return { id, createdAt, ...fence, peer, pinned: isPinned ? "why" : undefined };
  }

  announce(at: number): LoggedEvent {
    const sequence = this.events.length + 1;
    const event = { stream: standaloneStream, sequence, json: String(sequence), at };
    this.events.push(event);
    this.version += 1;
    return event;
  }

  begin(request: string, at: number): void {
    if (this.#ledger.has(request)) return;
    const entry = { request, hash: request, stream: request, method: "tools/call", repeatable: false, at };
    this.#ledger.set(request, { entry, isWritten: false });
    this.version += 1;
  }

  end(request: string): void {
    if (this.#ledger.delete(request)) this.#ended.add(request);
  }

  /** The registry lost it: nothing of it is written any more. */
  unwritten(at: number): void {
    this.written = -1;
    this.#eventsWritten = 0;
    for (const line of this.#ledger.values()) line.isWritten = false;
    for (const request of this.begunBefore) {
      const entry = { request, hash: request, stream: request, method: "tools/call", repeatable: false, at };
      this.#ledger.set(request, { entry, isWritten: false });
    }
  }

  /** What has to be written, and what to do once it is. */
  changes(): { readonly changes: SessionChanges; readonly kept: (at: number) => void } {
    const { version } = this;
    const events = this.events.slice(this.#eventsWritten);
    const begun = [...this.#ledger.values()].filter(({ isWritten }) => !isWritten);
    const ended = [...this.#ended];
    return {
      changes: {
        state: { count: String(this.count), shape: String(this.shape) },
        events,
        begun: begun.map(({ entry }) => entry),
        ended,
      },
      kept: (at) => {
        this.written = Math.max(this.written, version);
        this.keptAt = at;
        this.#eventsWritten = Math.max(this.#eventsWritten, events.at(-1)?.sequence ?? 0);
        for (const line of begun) line.isWritten = true;
        for (const request of ended) this.#ended.delete(request);
      },
    };
  }
}
