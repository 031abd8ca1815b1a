import { ask, SilentError } from "../admin/ask.ts";
import { askForSession, askNode, askSessions, type Peer, tellRestart, tellState } from "../admin/gather.ts";
import type { AdminApi, NodeView, RestartWish, SessionList, StateChange } from "../admin/target.ts";

/** The operators' API of a local cluster: it asks the nodes that the cluster started, and lists those that are down too. */
export class ConsoleApi implements AdminApi {
  readonly #nodes: () => readonly Peer[];

  constructor(nodes: () => readonly Peer[]) {
    this.#nodes = nodes;
  }

  async nodes(): Promise<readonly NodeView[]> {
    return await Promise.all(this.#nodes().map(askNode));
  }

  /** Those of nodes that are known to have ended are gone: only a node that should answer and doesn't is silent. */
  async sessions(): Promise<SessionList> {
    return await askSessions(this.#up());
  }

  async session(id: string): ReturnType<AdminApi["session"]> {
    return await askForSession(this.#up(), id);
  }

  /** Any node can close any session. */
  async close(id: string): Promise<boolean> {
    for (const { admin } of this.#up()) {
      if (admin === undefined) continue;
      try {
        const { status } = await ask(admin, `/api/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
        if (status === 200) return true;
        if (status === 404) return false;
      } catch (error) {
        if (!(error instanceof SilentError)) throw error;
      }
    }
    throw new Error("no node answers");
  }

  async setState(name: string, state: "up" | "draining"): Promise<StateChange> {
    const named = this.#nodes().find((node) => node.name === name);
    return named === undefined ? { kind: "unknown" } : await tellState(named, state);
  }

  async restart(name: string): Promise<RestartWish> {
    const named = this.#nodes().find((node) => node.name === name);
    return named === undefined ? { kind: "unknown" } : await tellRestart(named);
  }

  #up(): Peer[] {
    return this.#nodes().filter(({ down }) => down !== true);
  }
}
