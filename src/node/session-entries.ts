import { firstFormat } from "../model/formats.ts";
import type { Owner } from "../model/locate.ts";
import type { Claimed, Fence, Registry, SessionRecord } from "../ports/registry.ts";
import type { ClaimOutcome, DeferredWrites } from "../registry/deferred-writes.ts";
import type { Session } from "../session/session.ts";
import type { Kept, SessionStore } from "../session/session-store.ts";
import { FencedStore, type FencedStoreParts, mostAttempts } from "./fenced-store.ts";
import type { Generations } from "./generations.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { Ownership } from "./ownership.ts";

export interface SessionEntriesParts {
  /** Whether sessions outlive their node: then all that an adopter needs is kept in the registry. */
  readonly keeps: boolean;
  readonly registry: Registry;
  readonly writes: DeferredWrites;
  readonly ownership: Ownership;
  readonly generations: Generations;
  readonly metrics: NodeMetrics;
  /** This node, as an owner. */
  owner(): { readonly owner: Owner; readonly peer: string | undefined };
  /** The sessions that live here. */
  sessions(): readonly Session[];
  session(id: string): Session | undefined;
  /** A session that lives here was closed elsewhere. */
  closed(id: string): void;
  /** A session that lives here is another node's now. */
  lost(id: string, by: Fence): void;
  /** How soon the registry is asked again that failed when it was asked about sessions, in milliseconds; 5 s, unless given. */
  readonly checkAgainMs?: number;
}

/** Sessions that are asked about, or written again, together. */
const batchSize = 100;

/** A registry may answer and refuse, so that nobody tells when it is back. */
const defaultCheckAgainMs = 5_000;

/**
 * The registry's entries of the sessions that live here: written again where the registry lost them, and where it says
 * otherwise than this node, it is decided here who is right.
 */
export class SessionEntries {
  readonly #parts: SessionEntriesParts;
  /** Of all sessions' stores. */
  readonly #storeParts: FencedStoreParts;
  /** Of this node's last claim or write of any session. */
  #number = 0;
  /** Each with the registry's generation in which it was noted last. */
  readonly #noted = new WeakMap<Session, string>();
  #checking: Promise<void> | undefined;
  #checkAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: SessionEntriesParts) {
    this.#parts = parts;
    const { registry, ownership, metrics } = parts;
    this.#storeParts = {
      ...{ registry, ownership, metrics },
      nextNumber: () => this.#nextNumber(),
      onFenced: (id, by) => this.fenced(id, by),
      notedIn: (id) => this.#notedIn(id),
      onMissing: (id, notedIn) => this.#settleMissing(id, notedIn),
    };
  }

  /** A session that lives here, as the registry is to have it. */
  #recordOf({ id, epoch, createdAt, client, principal, pinned, format, transport }: Session): SessionRecord {
    const { journal } = transport;
    const inFormat = format === firstFormat ? undefined : format;
    return { id, ...this.#parts.owner(), epoch, createdAt, client, principal, journal, pinned, format: inFormat };
  }

  /** What keeps a session's changes; undefined where nothing outlives the node. */
  storeOf(id: string, fence: Fence): SessionStore | undefined {
    return this.#parts.keeps ? new FencedStore(this.#storeParts, id, fence) : undefined;
  }

  /** Notes a session that began here: now, or when the registry is back. Never rejects. */
  async note(session: Session): Promise<ClaimOutcome> {
    return await this.#parts.writes.claim(session.id, () => this.#claim(session));
  }

  /** A session was taken over, in what was the generation before the registry was asked for it. */
  adopted(session: Session, generation: string | undefined): void {
    if (generation !== undefined) this.#noted.set(session, generation);
  }

  /** Writes all sessions again, after the registry lost its entries. What fails is written when the registry is back. */
  async writeAll(): Promise<void> {
    for (const batch of batchesOf(this.#parts.sessions()))
      await Promise.all(batch.map((session) => this.#writeAgain(session)));
  }

  /**
   * Ends the copies of sessions that were closed, or taken over, while this node heard nothing of it, and writes those
   * anew that the registry has lost. Where the registry fails, it is asked again until it says. Never rejects.
   */
  async checkAll(): Promise<void> {
    this.#checkAgain = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#checking ??= this.#checkUntilFresh().finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  /** Does the same with those of them that live here. Never rejects. */
  async check(ids: readonly string[]): Promise<void> {
    await this.#check(ids.map((id) => this.#parts.session(id)).filter((session) => session !== undefined));
  }

  /** Asks no more by itself. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /**
   * The registry has another owner or epoch of a session. A lower epoch comes from a registry that fell back to an older
   * copy: the owner of the later one writes it anew. Gives how that was settled. Never rejects.
   */
  async fenced(id: string, by: Fence): Promise<Kept> {
    const { session, owner, lost } = this.#parts;
    const live = session(id);
    if (live !== undefined && by.epoch < live.epoch) return await this.#writeAgain(live);
    // An earlier copy of this node may be told so by the one that came after it.
    if (live === undefined || by.epoch !== live.epoch || !isSame(by.owner, owner().owner)) lost(id, by);
    return "lost";
  }

  async #checkUntilFresh(): Promise<void> {
    while (this.#checkAgain) {
      this.#checkAgain = false;
      await this.#check(this.#parts.sessions());
    }
  }

  async #check(sessions: readonly Session[]): Promise<void> {
    const { registry, metrics } = this.#parts;
    try {
      for (const batch of batchesOf(sessions)) {
        const noted = batch.map((session) => this.#noted.get(session));
        const owners = await registry.owners(batch.map(({ id }) => id));
        await Promise.all(batch.map((session, index) => this.#settle(session, owners[index], noted[index])));
      }
    } catch {
      // Each write of a session is fenced besides; but one that only reads might be served for long by two nodes.
      metrics.registryFailed();
      this.#checkLater();
    }
  }

  #checkLater(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    const { checkAgainMs = defaultCheckAgainMs } = this.#parts;
    // Up to a fifth later by chance, so that the nodes of a cluster don't all come back in one moment.
    this.#timer = setTimeout(() => void this.checkAll(), checkAgainMs * (1 + Math.random() / 5));
  }

  async #settle(session: Session, found: Fence | undefined, notedIn: string | undefined): Promise<void> {
    const { id, epoch } = session;
    const { owner } = this.#parts;
    // It may have ended here meanwhile, or begun anew.
    if (this.#parts.session(id) !== session) return;
    if (found === undefined) await this.#settleMissing(id, notedIn);
    else if (found.epoch !== epoch || !isSame(found.owner, owner().owner)) await this.fenced(id, found);
  }

  /**
   * The registry has no entry of a session that lives here. In the very generation in which it was noted it has been
   * closed. Else the registry lost it, or never had it: what the node knows of generations by now says nothing of that.
   */
  async #settleMissing(id: string, notedIn: string | undefined): Promise<Kept> {
    const { generations, writes, session, closed } = this.#parts;
    const live = session(id);
    // One that is being restored is looked at again; one that ends needs nothing more.
    if (live === undefined || writes.isPending(id)) return "unavailable";
    await generations.check();
    if (notedIn === undefined || notedIn !== generations.known) return await this.#writeAgain(live);
    closed(id);
    return "lost";
  }

  async #writeAgain(session: Session): Promise<Kept> {
    const { id } = session;
    const { keeps, metrics, closed, lost } = this.#parts;
    if (this.#parts.session(id) !== session) return "lost";
    try {
      const claimed = await this.#claim(session);
      if (claimed.kind !== "claimed") {
        if (claimed.kind === "closed") closed(id);
        else lost(id, claimed.by);
        return "lost";
      }
      return keeps ? await this.#writeWhole(session) : "written";
    } catch {
      metrics.registryFailed();
      session.unkept();
      void this.note(session);
      return "unavailable";
    }
  }

  /** Writes all that is kept of a session which the registry has nothing of but its record. */
  async #writeWhole(session: Session): Promise<Kept> {
    const { registry, owner, lost } = this.#parts;
    const { id, epoch } = session;
    const fence = { owner: owner().owner, epoch };
    for (let attempt = 1; attempt <= mostAttempts; attempt += 1) {
      // Anew for each attempt: what was written meanwhile must not be undone.
      const written = await registry.write(id, fence, session.snapshot(), this.#nextNumber());
      if (written.kind === "written") return "written";
      if (written.kind === "fenced") {
        lost(id, written.by);
        return "lost";
      }
      // It was closed or lost since it was claimed: the next write finds out.
      if (written.kind === "missing") break;
    }
    session.unkept();
    return "unavailable";
  }

  async #claim(session: Session): Promise<Claimed> {
    const { registry, generations } = this.#parts;
    // From before it is sent: the entry may be of a later generation than this node knows by then, never of an earlier.
    const generation = generations.known;
    const claimed = await registry.claim(this.#recordOf(session), this.#nextNumber());
    if (claimed.kind === "claimed" && generation !== undefined) this.#noted.set(session, generation);
    return claimed;
  }

  #notedIn(id: string): string | undefined {
    const session = this.#parts.session(id);
    return session && this.#noted.get(session);
  }

  #nextNumber(): number {
    this.#number += 1;
    return this.#number;
  }
}

function* batchesOf(sessions: readonly Session[]): Generator<readonly Session[]> {
  for (let start = 0; start < sessions.length; start += batchSize) yield sessions.slice(start, start + batchSize);
}

function isSame(one: Owner, other: Owner): boolean {
  return one.tag === other.tag && one.incarnation === other.incarnation;
}
