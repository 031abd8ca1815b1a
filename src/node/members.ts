import { type KnownNodes, knownAfterLeave, knownAfterList, nobodyKnown } from "../model/known-nodes.ts";
import { afterLapse, type Member, type MemberTable, nextMembers, noMembers } from "../model/membership.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";
import { Listeners } from "../registry/listeners.ts";

export interface MembersOptions {
  readonly registry: Registry;
  /** The tag of the node that keeps the table. */
  readonly ownTag: string;
  /** How often nodes renew their leases, and how often the registry is asked whose ran out, in milliseconds. */
  readonly renew: number;
  /** For how long a node is remembered that is no member any more and did not leave, in milliseconds. */
  readonly goneAfter: number;
  /** The registry has listed its nodes, when it was asked at that time: monotonic. */
  readonly onListed?: (askedAt: number) => void;
}

/**
 * The nodes that are up or draining, in memory: whoever asks need not wait. The registry tells at once who joined,
 * changed its state or left; whose lease ran out is found by asking it, which also makes up for what went unheard. A
 * registry that does not answer changes nothing.
 */
export class Members {
  readonly #options: MembersOptions;
  readonly #listeners = new Listeners<void>();
  #table: MemberTable<NodeRecord> = noMembers();
  #known: KnownNodes<NodeRecord> = nobodyKnown();
  #stopListening: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** Whether something changed since the look under way began. */
  #stale = false;
  #stopped = false;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Begins to follow the registry. Resolves after the first look, whether or not the registry answered. Never rejects. */
  async start(): Promise<void> {
    this.#stopListening = this.#options.registry.onNodesChanged((left) => {
      if (left !== undefined) this.#known = knownAfterLeave(this.#known, left);
      void this.look();
    });
    this.#schedule();
    await this.look();
  }

  byTag(tag: string): NodeRecord | undefined {
    return this.#table.nodes.get(tag);
  }

  /** In the order of their names. */
  all(): readonly NodeRecord[] {
    return [...this.#table.nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whoever may live: the members, and those whose lease ran out, which may be frozen or cut off. */
  known(): readonly NodeRecord[] {
    return [...this.#known.nodes.values()].map(({ node }) => node);
  }

  /** A start of a node that may live, if it is known. */
  knownAs({ tag, incarnation }: Pick<Member, "tag" | "incarnation">): NodeRecord | undefined {
    const node = this.#known.nodes.get(tag)?.node;
    return node?.incarnation === incarnation ? node : undefined;
  }

  /** Whether a start of a node has left, having given up all that it owned, as far as this one has heard. */
  hasLeft(incarnation: string): boolean {
    return this.#known.left.has(incarnation);
  }

  /** This node's lease has run out: what it knew of the others stays for as long as they may take to join again. */
  lapsed(): void {
    this.#table = afterLapse(this.#table, performance.now(), this.#options.renew);
  }

  /** Calls back after the table has changed. Gives the way to stop it. */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Asks the registry now. Never rejects. */
  async look(): Promise<void> {
    this.#stale = true;
    this.#looking ??= this.#lookUntilFresh().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #schedule(): void {
    if (this.#stopped) return;
    // Up to a fifth sooner by chance, so that the nodes of a cluster don't all ask in one moment.
    const ms = this.#options.renew * (1 - Math.random() / 5);
    this.#timer = setTimeout(() => void this.look().finally(() => this.#schedule()), ms);
  }

  async #lookUntilFresh(): Promise<void> {
    while (this.#stale && !this.#stopped) {
      this.#stale = false;
      await this.#lookOnce();
    }
  }

  async #lookOnce(): Promise<void> {
    const { registry, ownTag, renew, goneAfter, onListed } = this.#options;
    const askedAt = performance.now();
    let listed: readonly NodeRecord[];
    try {
      listed = await registry.nodes();
    } catch {
      // The registry's own log says why. What was known stays true as far as anybody knows.
      return;
    }
    if (this.#stopped) return;
    const before = JSON.stringify(this.all());
    const now = performance.now();
    this.#table = nextMembers(this.#table, { listed, ownTag, now, renewMs: renew });
    this.#known = knownAfterList(this.#known, { listed, now, renewMs: renew, goneAfterMs: goneAfter });
    onListed?.(askedAt);
    if (JSON.stringify(this.all()) !== before) this.#listeners.tell();
  }
}
