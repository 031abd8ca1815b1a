import { type NodeRecord, RegistryError } from "../ports/registry.ts";
import { askForSession, askNode, askSessions, tellRestart, tellState } from "./gather.ts";
import type {
  AdminApi,
  AdminTarget,
  NodeView,
  RestartWish,
  Scope,
  SessionList,
  StateChange,
  ToldNode,
} from "./target.ts";

/** The operators' API of a node: its own answers, and for the cluster's it asks the nodes that the registry knows. */
export class NodeApi implements AdminApi {
  readonly #target: AdminTarget;

  constructor(target: AdminTarget) {
    this.#target = target;
  }

  async nodes(scope: Scope): Promise<readonly NodeView[]> {
    const others = scope === "node" ? [] : await Promise.all((await this.#others()).map(askNode));
    return [this.#self(), ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async sessions(scope: Scope): Promise<SessionList> {
    const own = this.#target.sessions();
    if (scope === "node") return { sessions: own, silent: [] };
    const { sessions, silent } = await askSessions(await this.#others());
    return { sessions: [...own, ...sessions], silent };
  }

  async session(id: string, scope: Scope): ReturnType<AdminApi["session"]> {
    const own = this.#target.sessions().find((session) => session.id === id);
    if (own !== undefined || scope === "node") return { found: own, silent: [] };
    return await askForSession(await this.#others(), id);
  }

  close(id: string): Promise<boolean> {
    return this.#target.close(id);
  }

  async setState(name: string, state: "up" | "draining", scope: Scope): Promise<StateChange> {
    if (name === this.#target.record().name) return await this.#setOwnState(state);
    const named = await this.#other(name, scope);
    return named === undefined ? { kind: "unknown" } : await tellState(named, state);
  }

  async restart(name: string, scope: Scope): Promise<RestartWish> {
    if (name === this.#target.record().name) return await this.#restartOwn();
    const named = await this.#other(name, scope);
    return named === undefined ? { kind: "unknown" } : await tellRestart(named);
  }

  async #restartOwn(): Promise<RestartWish> {
    if (!this.#target.joined()) return { kind: "not-told", why: "it is just starting." };
    const { restart } = this.#target;
    if (restart === undefined) return { kind: "embedded" };
    try {
      await this.#target.nodes();
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const why = `it goes on as it is, because its next incarnation could not join: ${error.message}`;
      return {
        kind: "not-told",
        why,
        next: "Try again when the registry answers; SIGTERM ends the node all the same.",
      };
    }
    const node = this.#told();
    restart();
    return { kind: "asked", node };
  }

  async #setOwnState(state: "up" | "draining"): Promise<StateChange> {
    try {
      await this.#target.setState(state);
      return { kind: "changed", node: this.#told() };
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const why = `it is ${state}, but could not tell the other nodes and the edge: ${error.message} It goes on trying.`;
      return { kind: "not-told", why, next: "It needs no second call: mooring nodes shows it when Redis answers." };
    }
  }

  #told(): ToldNode {
    const { drainDeadline, stopDeadline } = this.#target;
    return { ...this.#self(), drainDeadline, stopDeadline };
  }

  #self(): NodeView {
    const { name, tag, pid, url, admin, since, state } = this.#target.record();
    const drainLeft = this.#target.drainLeft();
    return {
      ...{ name, tag, state: this.#target.joined() ? state : "down" },
      sessions: this.#target.sessions().length,
      ...{ pid, url, admin: admin ?? null, since },
      ...(drainLeft !== undefined && { drainLeft }),
    };
  }

  async #other(name: string, scope: Scope): Promise<NodeRecord | undefined> {
    return scope === "node" ? undefined : (await this.#others()).find((node) => node.name === name);
  }

  async #others(): Promise<NodeRecord[]> {
    const { tag } = this.#target.record();
    return (await this.#target.nodes()).filter((node) => node.tag !== tag);
  }
}
