import type { Log } from "../ports/log.ts";
import type { NodeRecord } from "../ports/registry.ts";
import type { ClusterView } from "./view.ts";
import { type EdgeTimes, type Knowledge, nothingKnown, observe, unfit, viewOf } from "./view-of.ts";

export interface ViewFollowerParts {
  /** The nodes that the registry knows. Rejects, within a deadline of its own, when it does not answer. */
  readonly nodes: () => Promise<readonly NodeRecord[]>;
  /** The tags of nodes that are known to have ended, whatever the registry says. */
  readonly ended?: () => readonly string[];
  /** Calls back when the nodes changed. Gives the way to stop it. */
  readonly onNodesChanged?: (listener: () => void) => () => void;
  /** Calls back when the registry is lost, and when it is back. Gives the way to stop it. */
  readonly onReachable?: (listener: (reachable: boolean) => void) => () => void;
  /** How often it looks without being told, in milliseconds: for leases that run out. */
  readonly everyMs: number;
  readonly times: EdgeTimes;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Takes the view after each look, also when it is the same as before. */
  readonly onView: (view: ClusterView) => void;
  readonly log: Log;
}

/** Follows the cluster: asks who is there, now and then and when told of a change, and gives the view of it. */
export class ViewFollower {
  readonly #parts: ViewFollowerParts;
  #knowledge: Knowledge = nothingKnown;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** Whether something changed while it was looking. */
  #stale = false;
  #stopped = false;
  #unsubscribe: readonly (() => void)[] = [];
  #leftOut: readonly string[] = [];

  constructor(parts: ViewFollowerParts) {
    this.#parts = parts;
  }

  start(): void {
    const { onNodesChanged, onReachable } = this.#parts;
    const subscriptions = [
      onNodesChanged?.(() => void this.look()),
      onReachable?.((reachable) => reachable || this.#noteSilence()),
    ];
    this.#unsubscribe = subscriptions.filter((unsubscribe) => unsubscribe !== undefined);
    void this.look();
  }

  /** Looks now. Resolves when it has looked, whether the registry answered or not. */
  look(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#stale = true;
    this.#looking ??= this.#lookUntilFresh().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** The view of what it knows; undefined as long as it has met no node. */
  get view(): ClusterView | undefined {
    return viewOf(this.#knowledge);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#looking;
  }

  /**
   * A registry can be lost and come back empty between two looks. Without this, the first nodes that join it again
   * would seem to be all there are.
   */
  #noteSilence(): void {
    this.#knowledge = observe(this.#knowledge, { nodes: undefined }, this.#parts.now(), this.#parts.times);
  }

  async #lookUntilFresh(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#stale && !this.#stopped) {
      this.#stale = false;
      await this.#lookOnce();
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.look(), this.#parts.everyMs);
  }

  async #lookOnce(): Promise<void> {
    const { nodes, ended, now, times, onView } = this.#parts;
    let found: readonly NodeRecord[] | undefined;
    try {
      found = await nodes();
    } catch {
      // The registry says itself that it is not reachable.
    }
    if (this.#stopped) return;
    this.#tellUnfit(found ?? []);
    this.#knowledge = observe(this.#knowledge, { nodes: found, ended: ended?.() }, now(), times);
    const view = this.view;
    if (view !== undefined) onView(view);
  }

  /** Says once of each node that it is left out. */
  #tellUnfit(nodes: readonly NodeRecord[]): void {
    const reasons = nodes.flatMap((node) => {
      const why = unfit(node);
      return why === undefined ? [] : [`${node.name} is left out: ${why}`];
    });
    for (const reason of reasons) {
      if (!this.#leftOut.includes(reason)) this.#parts.log.error("edge-refused", { reason });
    }
    this.#leftOut = reasons;
  }
}
