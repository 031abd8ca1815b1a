import type { Owner } from "../model/locate.ts";

/** A session as the registry knows it: that it exists, and who owns it. */
export interface SessionRecord {
  /** `<tag>.<random>`. */
  readonly id: string;
  readonly owner: Owner;
  /** Counts changes of owner, from 1. */
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The client's own name and version, as "name/version", cut at 128 characters. */
  readonly client?: string | undefined;
}

/** A node as the registry knows it. */
export interface NodeRecord {
  readonly name: string;
  readonly tag: string;
  /** New at each start of the node. */
  readonly incarnation: string;
  /** Where the node serves, e.g. `http://127.0.0.1:3001`. */
  readonly url: string;
  /** Where its admin listener is, if it has one. */
  readonly admin?: string | undefined;
  /** Where its peer link listens, e.g. `http://10.0.0.7:7001`: absent where relays are off. */
  readonly peer?: string | undefined;
  /** up: takes new sessions; draining: out of the pool, serves those it has. */
  readonly state: "up" | "draining";
  readonly pid: number;
  /** When it started: milliseconds since 1970. */
  readonly since: number;
}

/** How a node's wish to join went. */
export type Joining =
  | { readonly kind: "joined" }
  /** Another incarnation has the tag, and its lease ends in so many milliseconds unless it renews it. */
  | { readonly kind: "held"; readonly by: NodeRecord; readonly leftMs: number };

/** How the renewal of a lease went. */
export type LeaseRenewal =
  | { readonly kind: "renewed" }
  /** The lease ran out (`to` is undefined), or another incarnation has joined since. */
  | { readonly kind: "lost"; readonly to: NodeRecord | undefined };

/** Why a registry call failed: the closed set of codes of {@link RegistryError}. */
export type RegistryErrorCode =
  /** No answer: connection refused, lost, or over the deadline. Whether a write took effect is not known. */
  | "unavailable"
  /** The registry answered, but with an error of its own (wrong password, read-only replica, out of memory). */
  | "refused";

export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: RegistryErrorCode;
  constructor(code: RegistryErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Who owns which session. Each promise below is held by test/contracts/registry.ts, which every adapter passes.
 * Every call ends within the adapter's deadline: with its result, or with a {@link RegistryError}.
 */
export interface Registry {
  /** Connects. Rejects with a RegistryError that says what to check when the registry does not answer. */
  start(): Promise<void>;

  /**
   * Notes a new session, with a TTL of 30 days, in one write. An id that is there already keeps its record, so that
   * writing again after an answer that got lost changes nothing.
   */
  claim(record: SessionRecord): Promise<void>;

  /** One read. Undefined: no such session. */
  find(id: string): Promise<SessionRecord | undefined>;

  /**
   * Gives sessions in use their full TTL again. Never creates a key: ids that are not in the registry come back as
   * the result.
   */
  renew(ids: readonly string[]): Promise<readonly string[]>;

  /**
   * Removes a session, whoever owns it, and tells every node (see {@link onClosed}). Gives whether it was there;
   * every node is told also when it was not, because an owner may hold a copy of what the registry lost.
   */
  close(id: string): Promise<boolean>;

  /** Calls back with the id of each session that any node closes, this one included. Gives the way to stop it. */
  onClosed(listener: (id: string) => void): () => void;

  /**
   * Notes a node for the time of a lease, in place of what the same incarnation noted before, and tells every node
   * (see {@link onNodesChanged}). Changes nothing while another incarnation has the tag.
   */
  join(node: NodeRecord, leaseMs: number): Promise<Joining>;

  /** Gives the node its full lease again. Never notes one whose lease ran out or whose tag another incarnation has. */
  renewLease(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal>;

  /** Removes the node and tells every node, unless another incarnation of it has joined since. */
  leave(node: NodeRecord): Promise<void>;

  /** All nodes whose lease is not over, in the order of their names. */
  nodes(): Promise<readonly NodeRecord[]>;

  /** One node by its tag, or undefined when its lease is over or it left. */
  node(tag: string): Promise<NodeRecord | undefined>;

  /**
   * Calls back when any node, this one included, joined, changed its record or left; by then {@link nodes} knows it.
   * Nobody is told that a lease ran out. What happens while the connection is lost goes unheard. Gives the way to stop
   * it.
   */
  onNodesChanged(listener: () => void): () => void;

  /** A secret that all nodes of the cluster share: the one that is there, or else the one offered. */
  sharedSecret(offered: string): Promise<string>;

  /** Calls back when the connection is lost (false) and when it is back (true). Gives the way to stop it. */
  onReachable(listener: (reachable: boolean) => void): () => void;

  /** Ends connections and timers. Later calls are rejected. */
  stop(): Promise<void>;
}
