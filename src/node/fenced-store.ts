import type { Fence, Registry, SessionChanges } from "../ports/registry.ts";
import type { Kept, SessionStore } from "../session/session-store.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { Ownership } from "./ownership.ts";

export interface FencedStoreParts {
  readonly registry: Registry;
  readonly ownership: Ownership;
  readonly metrics: NodeMetrics;
  /** For each write a higher one: what is given up may still arrive, and must not undo what was written after it. */
  nextNumber(): number;
  /** The registry has another owner or epoch. Gives how that was settled: written anew, or ended. */
  onFenced(id: string, by: Fence): Promise<Kept>;
  /** The registry's generation in which the session was noted last; undefined when it was in none that is known. */
  notedIn(id: string): string | undefined;
  /**
   * The registry has no such session, which had been noted in that generation before it was asked. Gives how that was
   * settled: written anew, or ended.
   */
  onMissing(id: string, notedIn: string | undefined): Promise<Kept>;
}

/**
 * Writes that are waited for overtake each other only where a slot of Redis Cluster moves in that moment: what was
 * overtaken is not in the one that overtook it, so it is written again.
 */
export const mostAttempts = 3;

/** Keeps the changes of one session in the registry, as its owner of one epoch. */
export class FencedStore implements SessionStore {
  readonly #parts: FencedStoreParts;
  readonly #id: string;
  readonly #fence: Fence;

  constructor(parts: FencedStoreParts, id: string, fence: Fence) {
    this.#parts = parts;
    this.#id = id;
    this.#fence = fence;
  }

  owns(): boolean {
    return this.#parts.ownership.mayOwn();
  }

  isPromised(): boolean {
    return this.#parts.ownership.isPromised;
  }

  onPromised(listener: () => void): () => void {
    return this.#parts.ownership.onPromised(listener);
  }

  async write(changes: SessionChanges): Promise<Kept> {
    const { registry, ownership, metrics, nextNumber, notedIn, onFenced, onMissing } = this.#parts;
    try {
      for (let attempt = 1; attempt <= mostAttempts; attempt += 1) {
        const noted = notedIn(this.#id);
        const written = await ownership.watch(registry.write(this.#id, this.#fence, changes, nextNumber()));
        switch (written.kind) {
          case "written":
            return "written";
          case "fenced":
            return await onFenced(this.#id, written.by);
          case "missing":
            return await onMissing(this.#id, noted);
          case "late":
            break;
        }
      }
      return "unavailable";
    } catch {
      // The registry's own log says why.
      metrics.registryFailed();
      return "unavailable";
    }
  }

  onBack(listener: () => void): () => void {
    return this.#parts.registry.onReachable((reachable) => {
      if (reachable) listener();
    });
  }
}
