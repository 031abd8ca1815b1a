import type { FormatRange } from "../model/formats.ts";
import type { Owner } from "../model/locate.ts";

/** Who a session belongs to: the issuer that vouched for somebody, and its name for them. */
export interface Principal {
  readonly issuer: string;
  readonly subject: string;
}

/** What a server lists, by the fields of the results that hold the items. */
export type ListName = "tools" | "resources" | "resourceTemplates" | "prompts";

/** Of each list that a client was given, a digest of its first page as it was given last. */
export type Lists = Readonly<Partial<Record<ListName, string>>>;

/** What shaped a session from its client's side: replayed into a fresh server by an adopter. */
export interface Journal {
  /** The `initialize` request, as JSON. */
  readonly initialize: string;
  /** The params of the last `logging/setLevel`, as JSON. */
  readonly level?: string | undefined;
  /** The URIs that are subscribed to. */
  readonly subscriptions?: readonly string[] | undefined;
  /** What its client knows of the server: should a fresh one list something else, the client is told. */
  readonly lists?: Lists | undefined;
}

/** A session as the registry knows it: that it exists, and who owns it. */
export interface SessionRecord {
  /** `<tag>.<random>`. */
  readonly id: string;
  readonly owner: Owner;
  /** Where the owner's peer link is: it can be asked also after its lease ran out. Absent where relays are off. */
  readonly peer?: string | undefined;
  /** Counts changes of owner, from 1. */
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The client's own name and version, as "name/version", cut at 128 characters. */
  readonly client?: string | undefined;
  /** Absent where nobody asks who calls. */
  readonly principal?: Principal | undefined;
  /** Absent in the policy `reject`, where no session is ever adopted. */
  readonly journal?: Journal | undefined;
  /** Why the session can't move, if its server said so. */
  readonly pinned?: string | undefined;
  /** In which format all of it is kept (src/model/formats.ts); absent for the first. */
  readonly format?: number | undefined;
}

/** By what a session's owner proves that it still is: each write is refused that comes from another, or an older epoch. */
export interface Fence {
  readonly owner: Owner;
  readonly epoch: number;
}

/** A message that was sent on a session's stream, or is about to be. */
export interface LoggedEvent {
  readonly stream: string;
  /** Its number in its stream, from 1. */
  readonly sequence: number;
  /** The JSON-RPC message. */
  readonly json: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A call that has begun, and is not known to have ended. */
export interface LedgerEntry {
  /** The JSON-RPC request id as JSON: `1` and `"1"` are two. */
  readonly request: string;
  /** Of the POST's body: base64url of SHA-256. */
  readonly hash: string;
  /** The stream that its answer is sent on. */
  readonly stream: string;
  readonly method: string;
  /** As JSON; absent when it is too large to be kept, and then the call is never run again. */
  readonly params?: string | undefined;
  /** Whether it may be run again: its tool is marked read-only or idempotent. */
  readonly repeatable: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What changed of a session. All of it is written as one step, or nothing. */
export interface SessionChanges {
  /** Session state by key, as JSON; undefined takes a key away. */
  readonly state?: Readonly<Record<string, string | undefined>>;
  /** In the order in which they were sent. */
  readonly events?: readonly LoggedEvent[];
  /** The number of the newest event of the standalone stream that some connection has carried. */
  readonly carried?: number;
  readonly begun?: readonly LedgerEntry[];
  /** The `request` of calls that have ended. */
  readonly ended?: readonly string[];
  readonly journal?: Partial<Journal>;
  /** Why the session can't move. */
  readonly pinned?: string;
}

/** How a write to a session went. */
export type Written =
  | { readonly kind: "written" }
  /** Another node owns it, or owned it since. */
  | { readonly kind: "fenced"; readonly by: Fence }
  /** A later one of the same owner and epoch was there before it, by its number: nothing is written. */
  | { readonly kind: "late" }
  /** There is no such session: it was closed, or the registry lost its entries (see {@link Registry.generation}). */
  | { readonly kind: "missing" };

/** How a claim went. */
export type Claimed =
  | { readonly kind: "claimed" }
  /** Another owner has it, of this epoch or a later one. */
  | { readonly kind: "fenced"; readonly by: Fence }
  /** It was closed while its owner could not be told. */
  | { readonly kind: "closed" };

/** All that the registry keeps of a session. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly state: Readonly<Record<string, string>>;
  /** Those that are still kept, in the order in which they were sent. */
  readonly events: readonly LoggedEvent[];
  /** The number of the newest event of the standalone stream, kept or not; 0 before the first. */
  readonly sequence: number;
  /** The number of its newest event that some connection has carried. */
  readonly carried: number;
  readonly ledger: readonly LedgerEntry[];
}

/** To whom a session is handed over. */
export interface NewOwner {
  readonly owner: Owner;
  readonly peer?: string | undefined;
  /** Which formats of kept sessions it reads; absent: the first only. */
  readonly reads?: FormatRange | undefined;
}

/** How a change of owner went. */
export type HandedOver =
  | { readonly kind: "handed-over"; readonly session: StoredSession }
  /** It is of another epoch already. */
  | { readonly kind: "fenced"; readonly by: Fence }
  | { readonly kind: "missing" }
  /** It is kept in a format that the new owner does not read. Nothing has changed. */
  | { readonly kind: "unreadable"; readonly format: number };

/** What the registry's entries belong to: it is another one after they were lost. */
export interface Generation {
  readonly id: string;
  /** How many milliseconds ago a node noticed that entries were lost; undefined when that is an hour ago, or never was. */
  readonly lostAgoMs?: number | undefined;
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
  /**
   * Whether the node itself bound the address of its peer link, with no Service, NAT or proxy between: then a refused
   * connection proves that the node is gone, because that listener is the last thing that a node closes.
   */
  readonly direct?: boolean | undefined;
  /** Which formats of kept sessions it reads; absent: the first only. */
  readonly reads?: FormatRange | undefined;
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
   * Notes a session, with a TTL of 30 days (less where unused sessions end sooner), in one write. One that is there with
   * a lower epoch, or with the same epoch and owner, gets this record; every other one stays as it is. Changes nothing
   * for a session that was closed and is remembered (see {@link close}). A claim that comes late by its number (see
   * {@link write}) changes nothing, and is as good as done.
   */
  claim(record: SessionRecord, number?: number): Promise<Claimed>;

  /** One read. Undefined: no such session. */
  find(id: string): Promise<SessionRecord | undefined>;

  /** Who owns each of these sessions, in their order; undefined for one that is not there. */
  owners(ids: readonly string[]): Promise<readonly (Fence | undefined)[]>;

  /**
   * Writes what changed of a session, as one step, and gives it its full TTL again. Nothing is written unless the fence
   * is the session's owner and epoch. The log of its events is kept within bounds.
   *
   * What its owner gave up for want of an answer may lie in a frozen server or a dead connection still, and be executed
   * after what was sent in its place. So `number` grows with each claim and write of one owner in one epoch, and what
   * comes after a higher one is not written. Without it, the order of arrival counts.
   */
  write(id: string, fence: Fence, changes: SessionChanges, number?: number): Promise<Written>;

  /**
   * Makes another node the owner of a session, and gives all that is kept of it, as one step, if it is of that epoch
   * still, and in a format that the new owner reads (absent: the first only). The new owner's epoch is the next one.
   * Whoever adopts does this for itself; so does, with the old owner's word, whoever is handed a session.
   */
  handOver(id: string, epoch: number, to: NewOwner): Promise<HandedOver>;

  /**
   * Gives sessions in use their full TTL again. Never creates a key: ids that are not in the registry come back as
   * the result.
   */
  renew(ids: readonly string[]): Promise<readonly string[]>;

  /**
   * Removes a session with all that is kept of it, whoever owns it, and tells every node (see {@link onClosed}). Gives
   * whether it was there; every node is told also when it was not, because an owner may hold a copy of what the registry
   * lost. A close of what was there is remembered for an hour: a claim that was made before it may arrive after it, and
   * must not bring the session back. With `remember` so is one of a session that was not there, which its owner may be
   * about to write (again): only for ids that are known to be real, since each costs the registry memory.
   */
  close(id: string, options?: { readonly remember?: boolean }): Promise<boolean>;

  /**
   * The generation of the registry's entries, which is made by whoever asks first. A node that knew another one says
   * so: that entries were lost is noted then, once for each generation.
   */
  generation(known: string | undefined): Promise<Generation>;

  /**
   * Calls back with the id of each session that any node closes, this one included. What is told while the registry can't
   * be heard goes unheard (see {@link onHeardAgain}). Gives the way to stop it.
   */
  onClosed(listener: (id: string) => void): () => void;

  /**
   * Calls back when what nodes tell each other is heard again after it was not, which may be so while the registry
   * answers all the time: closes may have gone unheard. Gives the way to stop it.
   */
  onHeardAgain(listener: () => void): () => void;

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
   * Calls back when any node, this one included, joined, changed its record or left; by then {@link nodes} knows it. Says
   * which start of a node left, if that is what happened. Nobody is told that a lease ran out. What happens while the
   * registry can't be heard goes unheard. Gives the way to stop it.
   */
  onNodesChanged(listener: (left: Owner | undefined) => void): () => void;

  /** A secret that all nodes of the cluster share: the one that is there, or else the one offered. */
  sharedSecret(offered: string): Promise<string>;

  /** Writes since the start that no replica had in time, where there are replicas: a failover may lose them. */
  readonly unreplicatedWrites: number;

  /** Calls back when the connection is lost (false) and when it is back (true). Gives the way to stop it. */
  onReachable(listener: (reachable: boolean) => void): () => void;

  /** Ends connections and timers. Later calls are rejected. */
  stop(): Promise<void>;
}
