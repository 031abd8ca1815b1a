import { type MemberTable, nextMembers, noMembers } from "../model/membership.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";
import { Listeners } from "../registry/listeners.ts";

export interface MembersOptions {
  readonly registry: Registry;
  /** The tag of the node that keeps the table. */
  readonly ownTag: string;
  /** How often nodes renew their leases, and how often the registry is asked whose ran out, in milliseconds. */
  readonly renew: number;
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
    this.#stopListening = this.#options.registry.onNodesChanged(() => void this.look());
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
    const { registry, ownTag, renew } = this.#options;
    let listed: readonly NodeRecord[];
    try {
      listed = await registry.nodes();
    } catch {
      // The registry's own log says why. What was known stays true as far as anybody knows.
      return;
    }
    if (this.#stopped) return;
    const before = JSON.stringify(this.all());
    this.#table = nextMembers(this.#table, { listed, ownTag, now: performance.now(), renewMs: renew });
    if (JSON.stringify(this.all()) !== before) this.#listeners.tell();
  }
}
