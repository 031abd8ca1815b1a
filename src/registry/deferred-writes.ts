import type { Log } from "../ports/log.ts";
import { type Claimed, type Registry, RegistryError } from "../ports/registry.ts";

export interface DeferredWritesOptions {
  readonly registry: Registry;
  readonly log: Log;
  /** A claim came back, at once or late, without the session: another node owns it, or it was closed. */
  readonly onLost: (id: string, why: ClaimLost) => void;
  /** The most writes kept; beyond it the one is dropped that was tried longest ago. */
  readonly limit?: number;
  /** How often kept writes are tried again although no outage was noticed: a registry may answer and refuse. */
  readonly retryEveryMs?: number;
}

/** Why a claim came back without the session. */
export type ClaimLost = Exclude<Claimed, { readonly kind: "claimed" }>;

/** How a claim went. `lost`: another node owns the session, or it was closed. */
export type ClaimOutcome = "written" | "deferred" | "lost";

/** How a close went: whether the session was in the registry, or that this will be known only later. */
export type CloseOutcome = "closed" | "not-there" | "deferred";

interface Kept {
  readonly id: string;
  readonly write: { readonly kind: "claim"; readonly attempt: () => Promise<Claimed> } | { readonly kind: "close" };
  /** Whether an attempt is under way. */
  trying: boolean;
  /** Whether it failed before: only then it counts as deferred. */
  deferred: boolean;
}

/** Writes that go to the registry together. */
const batchSize = 100;

/** For the last attempt when the node stops. */
const farewellMs = 2_000;

/**
 * A node's writes of sessions. A registry that fails never fails what the node can do by itself: the write is kept, and
 * done again when the registry is back. A close takes the place of a claim of the same session that was not written
 * yet, so that no session is noted after its end.
 */
export class DeferredWrites {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #onLost: (id: string, why: ClaimLost) => void;
  readonly #limit: number;
  readonly #retryEveryMs: number;
  /** By session, the one first that was tried longest ago. Also those under way, for a close must be able to overtake a claim. */
  readonly #kept = new Map<string, Kept>();
  readonly #stopListening: () => void;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #stopped = false;
  #deferredCount = 0;
  #droppedCount = 0;

  constructor({ registry, log, onLost, limit = 100_000, retryEveryMs = 5_000 }: DeferredWritesOptions) {
    this.#registry = registry;
    this.#log = log;
    this.#onLost = onLost;
    this.#limit = limit;
    this.#retryEveryMs = retryEveryMs;
    this.#stopListening = registry.onReachable((reachable) => {
      if (reachable) void this.flush();
    });
  }

  /** Since the start: writes that had to wait, and those given up. `pending`: those that wait now. */
  counts(): { readonly pending: number; readonly deferred: number; readonly dropped: number } {
    let pending = 0;
    for (const { deferred } of this.#kept.values()) if (deferred) pending += 1;
    return { pending, deferred: this.#deferredCount, dropped: this.#droppedCount };
  }

  /**
   * Notes a session: now or later. Each attempt claims it anew, so that one that is late writes what has become of it by
   * then. Never rejects.
   */
  async claim(id: string, attempt: () => Promise<Claimed>): Promise<ClaimOutcome> {
    const write = { kind: "claim", attempt } as const;
    const done = await this.#try(this.#keep({ id, write, trying: true, deferred: false }));
    return done === "deferred" ? "deferred" : done ? "written" : "lost";
  }

  /** Whether a write of a session waits for the registry, or is on its way. */
  isPending(id: string): boolean {
    return this.#kept.has(id);
  }

  /** Gives up what waits to be written of a session: another node owns it. */
  forget(id: string): void {
    this.#kept.delete(id);
  }

  /** Removes a session and tells every node: now or later. Never rejects. */
  async close(id: string): Promise<CloseOutcome> {
    const outcome = await this.#try(this.#keep({ id, write: { kind: "close" }, trying: true, deferred: false }));
    return outcome === "deferred" ? "deferred" : outcome ? "closed" : "not-there";
  }

  /** Tries all kept writes, until the registry fails again. */
  async flush(): Promise<void> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  /** Tries once more, for a short time, then gives up what is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    clearTimeout(this.#timer);
    if (this.#kept.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, farewellMs);
    });
    await Promise.race([this.flush(), enough]);
    clearTimeout(timer);
    for (const kept of [...this.#kept.values()]) this.#drop(kept, "the node stops");
  }

  #keep(kept: Kept): Kept {
    // Removed first: what is written of a session now is younger than all others.
    this.#kept.delete(kept.id);
    this.#kept.set(kept.id, kept);
    if (this.#kept.size > this.#limit) {
      const [oldest] = this.#kept.values();
      if (oldest !== undefined) this.#drop(oldest, `more than ${this.#limit} writes wait`);
    }
    return kept;
  }

  #drop(kept: Kept, why: string): void {
    this.#kept.delete(kept.id);
    this.#droppedCount += 1;
    this.#log.error("registry-write-dropped", { session: kept.id, write: kept.write.kind, why });
  }

  /** Gives what the registry's close gave; of a claim, whether the session is this node's. */
  async #try(kept: Kept): Promise<boolean | "deferred"> {
    kept.trying = true;
    let done: boolean | Claimed;
    let overtaken: boolean;
    try {
      done = await this.#write(kept);
      overtaken = this.#kept.get(kept.id) !== kept;
      if (!overtaken) this.#kept.delete(kept.id);
    } catch (error) {
      this.#defer(kept, error);
      return "deferred";
    } finally {
      kept.trying = false;
    }
    if (typeof done === "boolean") return done;
    // Of one that was overtaken nobody asks any more: the session was closed here, or is claimed anew.
    if (done.kind !== "claimed" && !overtaken) this.#onLost(kept.id, done);
    return done.kind === "claimed";
  }

  #write({ id, write }: Kept): Promise<boolean | Claimed> {
    if (write.kind === "claim") return write.attempt();
    // The session was this node's: where it is not there, a claim of it may be on its way.
    return this.#registry.close(id, { remember: true });
  }

  #defer(kept: Kept, error: unknown): void {
    // A later write of the same session took its place.
    if (this.#kept.get(kept.id) !== kept) return;
    // Behind the others: what fails alone, as on a lost shard of a cluster, must not keep them waiting.
    this.#kept.delete(kept.id);
    this.#kept.set(kept.id, kept);
    if (!kept.deferred) {
      kept.deferred = true;
      this.#deferredCount += 1;
      const code = error instanceof RegistryError ? error.code : "failed";
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warn("registry-write-deferred", { session: kept.id, write: kept.write.kind, code, why });
    }
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    // Up to a fifth later by chance, so that the nodes of a cluster don't all come back in one moment.
    const ms = this.#retryEveryMs * (1 + Math.random() / 5);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.flush();
    }, ms);
  }

  async #flushAll(): Promise<void> {
    for (let healthy = true; healthy; ) {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      const outcomes = await Promise.all(batch.map((kept) => this.#try(kept)));
      healthy = !outcomes.includes("deferred");
    }
  }

  #nextBatch(): Kept[] {
    const batch: Kept[] = [];
    for (const kept of this.#kept.values()) {
      if (!kept.trying) batch.push(kept);
      if (batch.length === batchSize) break;
    }
    return batch;
  }
}
