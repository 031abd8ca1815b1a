import { canRead, firstFormat } from "../../model/formats.ts";
import type { Owner } from "../../model/locate.ts";
import type {
  Claimed,
  Fence,
  Generation,
  HandedOver,
  Joining,
  LeaseRenewal,
  NewOwner,
  NodeRecord,
  SessionChanges,
  SessionRecord,
  Written,
} from "../../ports/registry.ts";
import { Listeners } from "../listeners.ts";
import { longestTtlMs, lossMattersMs, rememberedCloseMs } from "../session-ttl.ts";
import { KeptSession } from "./kept-session.ts";

interface Expiring<T> {
  readonly value: T;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** What memory registries share: the state of one cluster whose nodes live in one process. */
export class MemoryStore {
  readonly closed = new Listeners<string>();
  readonly nodesChanged = new Listeners<Owner | undefined>();
  readonly #sessions = new Map<string, Expiring<KeptSession>>();
  /** The closes that are remembered, by session. */
  readonly #closes = new Map<string, Expiring<true>>();
  readonly #nodes = new Map<string, Expiring<NodeRecord>>();
  #generation = 1;
  #lostAt: number | undefined;
  #secret: string | undefined;
  readonly #sessionTtlMs: number;

  /** @param sessionTtlMs for how long a session is kept since its last use */
  constructor(sessionTtlMs = longestTtlMs) {
    this.#sessionTtlMs = sessionTtlMs;
  }

  sharedSecret(offered: string): string {
    this.#secret ??= offered;
    return this.#secret;
  }

  claim(record: SessionRecord, now: number, number?: number): Claimed {
    this.#forgetExpired(now);
    const kept = this.#session(record.id, now);
    if (kept === undefined) {
      if (live(this.#closes.get(record.id), now)) return { kind: "closed" };
      this.#keep(record.id, new KeptSession(record, number), now);
      return { kind: "claimed" };
    }
    const by = kept.fence;
    if (by.epoch < record.epoch) {
      // What the owner of an older epoch wrote goes: the one that claims writes all that it has.
      this.#keep(record.id, new KeptSession(record, number), now);
      return { kind: "claimed" };
    }
    if (!isSame(by, record)) return { kind: "fenced", by };
    if (kept.isLate(number)) return { kind: "claimed" };
    kept.note(record, number);
    this.#keep(record.id, kept, now);
    return { kind: "claimed" };
  }

  find(id: string, now: number): SessionRecord | undefined {
    return this.#session(id, now)?.record;
  }

  owner(id: string, now: number): Fence | undefined {
    return this.#session(id, now)?.fence;
  }

  write(id: string, fence: Fence, changes: SessionChanges, now: number, number?: number): Written {
    const kept = this.#session(id, now);
    if (kept === undefined) return { kind: "missing" };
    if (!isSame(kept.fence, fence)) return { kind: "fenced", by: kept.fence };
    if (kept.isLate(number)) return { kind: "late" };
    kept.write(changes, now, number);
    this.#keep(id, kept, now);
    return { kind: "written" };
  }

  handOver(id: string, epoch: number, to: NewOwner, now: number): HandedOver {
    const kept = this.#session(id, now);
    if (kept === undefined) return { kind: "missing" };
    if (kept.fence.epoch !== epoch) return { kind: "fenced", by: kept.fence };
    const { format = firstFormat } = kept.record;
    if (!canRead(to.reads, format)) return { kind: "unreadable", format };
    kept.handOver(to);
    this.#keep(id, kept, now);
    return { kind: "handed-over", session: kept.all(now) };
  }

  renew(id: string, now: number): boolean {
    const kept = this.#session(id, now);
    if (kept !== undefined) this.#keep(id, kept, now);
    return kept !== undefined;
  }

  close(id: string, remember: boolean, now: number): boolean {
    this.#forgetExpired(now);
    const existed = this.#session(id, now) !== undefined;
    this.#sessions.delete(id);
    if (this.remembers(existed, remember)) putLast(this.#closes, id, { value: true, until: now + rememberedCloseMs });
    // Later, as from a network: nobody is told of its own close before the call has returned.
    queueMicrotask(() => this.closed.tell(id));
    return existed;
  }

  /** Whether a close is remembered. */
  protected remembers(existed: boolean, asked: boolean): boolean {
    return existed || asked;
  }

  generation(known: string | undefined, now: number): Generation {
    const id = `generation-${this.#generation}`;
    if (known !== undefined && known !== id) this.#lostAt ??= now;
    const ago = this.#lostAt === undefined ? undefined : now - this.#lostAt;
    return { id, ...(ago !== undefined && ago < lossMattersMs ? { lostAgoMs: ago } : {}) };
  }

  /** Loses everything, as a Redis does that comes back empty. Nobody is told. */
  lose(): void {
    this.#sessions.clear();
    this.#closes.clear();
    this.#nodes.clear();
    this.#secret = undefined;
    this.#generation += 1;
    this.#lostAt = undefined;
  }

  join(node: NodeRecord, leaseMs: number, now: number): Joining {
    const held = this.#nodes.get(node.tag);
    const by = live(held, now);
    if (held !== undefined && by !== undefined && by.incarnation !== node.incarnation) {
      return { kind: "held", by, leftMs: held.until - now };
    }
    this.#nodes.set(node.tag, { value: { ...node }, until: now + leaseMs });
    queueMicrotask(() => this.nodesChanged.tell(undefined));
    return { kind: "joined" };
  }

  renewLease({ tag, incarnation }: NodeRecord, leaseMs: number, now: number): LeaseRenewal {
    const value = this.node(tag, now);
    if (value?.incarnation !== incarnation) return { kind: "lost", to: value };
    this.#nodes.set(tag, { value, until: now + leaseMs });
    return { kind: "renewed" };
  }

  leave({ tag, incarnation }: NodeRecord): void {
    if (this.#nodes.get(tag)?.value.incarnation !== incarnation) return;
    this.#nodes.delete(tag);
    queueMicrotask(() => this.nodesChanged.tell({ tag, incarnation }));
  }

  node(tag: string, now: number): NodeRecord | undefined {
    return live(this.#nodes.get(tag), now);
  }

  nodes(now: number): NodeRecord[] {
    for (const [tag, { until }] of this.#nodes) {
      if (until <= now) this.#nodes.delete(tag);
    }
    return [...this.#nodes.values()].map(({ value }) => value).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #session(id: string, now: number): KeptSession | undefined {
    return live(this.#sessions.get(id), now);
  }

  #keep(id: string, value: KeptSession, now: number): void {
    putLast(this.#sessions, id, { value, until: now + this.#sessionTtlMs });
  }

  #forgetExpired(now: number): void {
    for (const entries of [this.#sessions, this.#closes]) {
      for (const [id, { until }] of entries) {
        if (until > now) break;
        entries.delete(id);
      }
    }
  }
}

/** Whether two are the same owner in the same epoch. */
function isSame(one: Fence, other: Fence): boolean {
  const { tag, incarnation } = one.owner;
  return one.epoch === other.epoch && tag === other.owner.tag && incarnation === other.owner.incarnation;
}

/** All entries of a map have one TTL: so they stay in the order in which they expire. */
function putLast<T>(entries: Map<string, Expiring<T>>, id: string, entry: Expiring<T>): void {
  entries.delete(id);
  entries.set(id, entry);
}

function live<T>(entry: Expiring<T> | undefined, now: number): T | undefined {
  return entry !== undefined && entry.until > now ? entry.value : undefined;
}
