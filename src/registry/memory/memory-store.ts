import type { Joining, LeaseRenewal, NodeRecord, SessionRecord } from "../../ports/registry.ts";
import { Listeners } from "../listeners.ts";
import { sessionTtlMs } from "../session-ttl.ts";

interface Expiring<T> {
  readonly value: T;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** What memory registries share: the state of one cluster whose nodes live in one process. */
export class MemoryStore {
  readonly closed = new Listeners<string>();
  readonly nodesChanged = new Listeners<void>();
  /** In the order in which they expire, since all have the same TTL and a renewal puts an entry at the end. */
  readonly #sessions = new Map<string, Expiring<SessionRecord>>();
  readonly #nodes = new Map<string, Expiring<NodeRecord>>();

  #secret: string | undefined;

  sharedSecret(offered: string): string {
    this.#secret ??= offered;
    return this.#secret;
  }

  claim(record: SessionRecord, now: number): void {
    this.#forgetExpired(now);
    if (!this.#sessions.has(record.id)) {
      this.#sessions.set(record.id, { value: { ...record }, until: now + sessionTtlMs });
    }
  }

  find(id: string, now: number): SessionRecord | undefined {
    return live(this.#sessions.get(id), now);
  }

  renew(id: string, now: number): boolean {
    const value = this.find(id, now);
    if (value === undefined) return false;
    this.#sessions.delete(id);
    this.#sessions.set(id, { value, until: now + sessionTtlMs });
    return true;
  }

  close(id: string, now: number): boolean {
    const existed = this.find(id, now) !== undefined;
    this.#sessions.delete(id);
    // Later, as from a network: nobody is told of its own close before the call has returned.
    queueMicrotask(() => this.closed.tell(id));
    return existed;
  }

  join(node: NodeRecord, leaseMs: number, now: number): Joining {
    const held = this.#nodes.get(node.tag);
    const by = live(held, now);
    if (held !== undefined && by !== undefined && by.incarnation !== node.incarnation) {
      return { kind: "held", by, leftMs: held.until - now };
    }
    this.#nodes.set(node.tag, { value: { ...node }, until: now + leaseMs });
    queueMicrotask(() => this.nodesChanged.tell());
    return { kind: "joined" };
  }

  renewLease({ tag, incarnation }: NodeRecord, leaseMs: number, now: number): LeaseRenewal {
    const value = this.node(tag, now);
    if (value?.incarnation !== incarnation) return { kind: "lost", to: value };
    this.#nodes.set(tag, { value, until: now + leaseMs });
    return { kind: "renewed" };
  }

  leave(node: NodeRecord): void {
    if (this.#nodes.get(node.tag)?.value.incarnation !== node.incarnation) return;
    this.#nodes.delete(node.tag);
    queueMicrotask(() => this.nodesChanged.tell());
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

  #forgetExpired(now: number): void {
    for (const [id, { until }] of this.#sessions) {
      if (until > now) return;
      this.#sessions.delete(id);
    }
  }
}

function live<T>(entry: Expiring<T> | undefined, now: number): T | undefined {
  return entry !== undefined && entry.until > now ? entry.value : undefined;
}
