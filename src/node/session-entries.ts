import { firstFormat } from "../model/formats.ts";
import type { Owner } from "../model/locate.ts";
import type { Fence, Registry, SessionRecord } from "../ports/registry.ts";
import type { DeferredWrites } from "../registry/deferred-writes.ts";
import type { Session } from "../session/session.ts";
import type { Kept, SessionStore } from "../session/session-store.ts";
import { FencedStore } from "./fenced-store.ts";
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
}

/** Sessions that are asked about, or written again, together. */
const batchSize = 100;

/**
 * The registry's entries of the sessions that live here: written again where the registry lost them, and where it says
 * otherwise than this node, it is decided here who is right.
 */
export class SessionEntries {
  readonly #parts: SessionEntriesParts;

  constructor(parts: SessionEntriesParts) {
    this.#parts = parts;
  }

  /** A session that lives here, as the registry is to have it. */
  recordOf({ id, epoch, createdAt, client, principal, pinned, format, transport }: Session): SessionRecord {
    const { journal } = transport;
    const inFormat = format === firstFormat ? undefined : format;
    return { id, ...this.#parts.owner(), epoch, createdAt, client, principal, journal, pinned, format: inFormat };
  }

  /** What keeps a session's changes; undefined where nothing outlives the node. */
  storeOf(id: string, fence: Fence): SessionStore | undefined {
    if (!this.#parts.keeps) return undefined;
    return new FencedStore(
      {
        ...this.#parts,
        onFenced: (fenced, by) => this.#settleFenced(fenced, by),
        onMissing: (missing) => this.#settleMissing(missing),
      },
      id,
      fence,
    );
  }

  /** Writes all sessions again, after the registry lost its entries. What fails is written when the registry is back. */
  async writeAll(): Promise<void> {
    for (const batch of this.#batches()) await Promise.all(batch.map((session) => this.#writeAgain(session)));
  }

  /** Ends the copies of sessions that were closed, or taken over, while this node heard nothing of it. */
  async checkAll(): Promise<void> {
    const { registry, generations, metrics } = this.#parts;
    try {
      await generations.check();
      for (const batch of this.#batches()) {
        const owners = await registry.owners(batch.map(({ id }) => id));
        for (const [index, session] of batch.entries()) await this.#check(session, owners[index]);
      }
    } catch {
      // Asked again when the registry is back the next time; each write of a session is fenced besides.
      metrics.registryFailed();
    }
  }

  async #check({ id }: Session, found: Fence | undefined): Promise<void> {
    const { generations, writes, closed, owner } = this.#parts;
    if (found === undefined) {
      if (!generations.quiet && !writes.isPending(id)) closed(id);
    } else if (found.owner.incarnation !== owner().owner.incarnation) await this.#settleFenced(id, found);
  }

  *#batches(): Generator<readonly Session[]> {
    const sessions = this.#parts.sessions();
    for (let start = 0; start < sessions.length; start += batchSize) yield sessions.slice(start, start + batchSize);
  }

  /** The registry has no entry of a session that lives here: it lost it, was not told yet, or the session was closed. */
  async #settleMissing(id: string): Promise<Kept> {
    const { generations, writes, session, closed } = this.#parts;
    const live = session(id);
    if (live === undefined) return "lost";
    if (writes.isPending(id)) return "unavailable";
    await generations.check();
    if (generations.quiet) return await this.#writeAgain(live);
    closed(id);
    return "lost";
  }

  /** A lower epoch comes from a registry that fell back to an older copy: the owner of the later one writes it anew. */
  async #settleFenced(id: string, by: Fence): Promise<Kept> {
    const live = this.#parts.session(id);
    if (live !== undefined && by.epoch < live.epoch) return await this.#writeAgain(live);
    this.#parts.lost(id, by);
    return "lost";
  }

  async #writeAgain(session: Session): Promise<Kept> {
    const { id, epoch } = session;
    const { registry, keeps, writes, metrics, owner, closed, lost } = this.#parts;
    try {
      const claimed = await registry.claim(this.recordOf(session));
      if (claimed.kind !== "claimed") {
        if (claimed.kind === "closed") closed(id);
        else lost(id, claimed.by);
        return "lost";
      }
      if (keeps) await registry.write(id, { owner: owner().owner, epoch }, session.snapshot());
      return "written";
    } catch {
      metrics.registryFailed();
      session.unkept();
      void writes.claim(() => this.recordOf(session));
      return "unavailable";
    }
  }
}
