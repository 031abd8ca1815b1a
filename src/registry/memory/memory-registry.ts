import type { Owner } from "../../model/locate.ts";
import type { Clock } from "../../ports/clock.ts";
import { systemClock } from "../../ports/clock.ts";
import {
  type Claimed,
  type Fence,
  type Generation,
  type HandedOver,
  type Joining,
  type LeaseRenewal,
  type NewOwner,
  type NodeRecord,
  type Registry,
  RegistryError,
  type SessionChanges,
  type SessionRecord,
  type Written,
} from "../../ports/registry.ts";
import { MemoryStore } from "./memory-store.ts";

export interface MemoryRegistryOptions {
  /** Shared by the registries of several nodes in one process; without it, a cluster of one. */
  readonly store?: MemoryStore;
  readonly clock?: Clock;
}

/** The registry in this process's memory. It is always reachable, and gone with the process. */
export class MemoryRegistry implements Registry {
  readonly unreplicatedWrites = 0;
  readonly #store: MemoryStore;
  readonly #clock: Clock;
  readonly #stopListening = new Set<() => void>();
  #state: "new" | "started" | "stopped" = "new";

  constructor({ store = new MemoryStore(), clock = systemClock }: MemoryRegistryOptions = {}) {
    this.#store = store;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    if (this.#state !== "new") throw new Error(`A registry is started once; this one is ${this.#state} already.`);
    this.#state = "started";
  }

  async claim(record: SessionRecord, number?: number): Promise<Claimed> {
    return this.#use("note a session").claim(record, this.#clock.now(), number);
  }

  async find(id: string): Promise<SessionRecord | undefined> {
    return this.#use("find a session").find(id, this.#clock.now());
  }

  async owners(ids: readonly string[]): Promise<readonly (Fence | undefined)[]> {
    const store = this.#use("tell who owns sessions");
    return ids.map((id) => store.owner(id, this.#clock.now()));
  }

  async write(id: string, fence: Fence, changes: SessionChanges, number?: number): Promise<Written> {
    return this.#use("write to a session").write(id, fence, changes, this.#clock.now(), number);
  }

  async handOver(id: string, epoch: number, to: NewOwner): Promise<HandedOver> {
    return this.#use("hand a session over").handOver(id, epoch, to, this.#clock.now());
  }

  async renew(ids: readonly string[]): Promise<readonly string[]> {
    const store = this.#use("renew sessions");
    return ids.filter((id) => !store.renew(id, this.#clock.now()));
  }

  async close(id: string, { remember = false }: { readonly remember?: boolean } = {}): Promise<boolean> {
    return this.#use("close a session").close(id, remember, this.#clock.now());
  }

  async generation(known: string | undefined): Promise<Generation> {
    return this.#use("tell its generation").generation(known, this.#clock.now());
  }

  onClosed(listener: (id: string) => void): () => void {
    return this.#listen(this.#store.closed.add(listener));
  }

  async sharedSecret(offered: string): Promise<string> {
    return this.#use("share a secret").sharedSecret(offered);
  }

  async join(node: NodeRecord, leaseMs: number): Promise<Joining> {
    return this.#use("note a node").join(node, leaseMs, this.#clock.now());
  }

  async renewLease(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal> {
    return this.#use("renew a lease").renewLease(node, leaseMs, this.#clock.now());
  }

  async leave(node: NodeRecord): Promise<void> {
    this.#use("remove a node").leave(node);
  }

  async nodes(): Promise<readonly NodeRecord[]> {
    return this.#use("list the nodes").nodes(this.#clock.now());
  }

  async node(tag: string): Promise<NodeRecord | undefined> {
    return this.#use("find a node").node(tag, this.#clock.now());
  }

  onNodesChanged(listener: (left: Owner | undefined) => void): () => void {
    return this.#listen(this.#store.nodesChanged.add(listener));
  }

  /** Never calls: memory can't be lost without this process. */
  onReachable(): () => void {
    return () => {};
  }

  /** Never calls, likewise. */
  onHeardAgain(): () => void {
    return () => {};
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    for (const stop of this.#stopListening) stop();
    this.#stopListening.clear();
  }

  #listen(stop: () => void): () => void {
    this.#stopListening.add(stop);
    return () => {
      stop();
      this.#stopListening.delete(stop);
    };
  }

  #use(doing: string): MemoryStore {
    if (this.#state !== "started") {
      throw new RegistryError("unavailable", `The registry can't ${doing}: it is ${this.#state}, not started.`);
    }
    return this.#store;
  }
}
