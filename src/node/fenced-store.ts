import type { Fence, Registry, SessionChanges } from "../ports/registry.ts";
import type { Kept, SessionStore } from "../session/session-store.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { Ownership } from "./ownership.ts";

export interface FencedStoreParts {
  readonly registry: Registry;
  readonly ownership: Ownership;
  readonly metrics: NodeMetrics;
  /** The registry has another owner or epoch. Gives how that was settled: written anew, or ended. */
  onFenced(id: string, by: Fence): Promise<Kept>;
  /** The registry has no such session. Gives how that was settled: written anew, or ended. */
  onMissing(id: string): Promise<Kept>;
}

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

  async write(changes: SessionChanges): Promise<Kept> {
    const { registry, metrics, onFenced, onMissing } = this.#parts;
    try {
      const written = await registry.write(this.#id, this.#fence, changes);
      switch (written.kind) {
        case "written":
          return "written";
        case "fenced":
          return await onFenced(this.#id, written.by);
        case "missing":
          return await onMissing(this.#id);
      }
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
