import type { TripPatch } from "./trip.ts";

/** What those who watch a trip hear. */
export type News =
  /** Somebody changed the trip, on this node or another. */
  | { readonly kind: "changed"; readonly id: string; readonly changed: TripPatch; readonly node: string }
  /** For a while nothing could be heard from other nodes: read the trip again. */
  | { readonly kind: "missed"; readonly id: string };

export type Listener = (news: News) => void;

/** Hands news of trips to those on this node who watch them. How news comes from other nodes is the store's matter. */
export class Changes {
  readonly #watchers = new Map<string, Set<Listener>>();

  /** Gives the listener all news of one trip, until the function that is returned is called. */
  watch(id: string, listener: Listener): () => void {
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers.add(listener));
    return () => {
      watchers.delete(listener);
      if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id);
    };
  }

  tell(news: News): void {
    for (const listener of this.#watchers.get(news.id) ?? []) listener(news);
  }

  tellAllThatSomethingWasMissed(): void {
    for (const id of this.#watchers.keys()) this.tell({ kind: "missed", id });
  }
}
