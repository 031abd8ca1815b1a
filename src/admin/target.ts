import type { FeedAnswer } from "../edge/feed.ts";
import type { NodeMetrics } from "../node/metrics.ts";
import type { NodeRecord } from "../ports/registry.ts";

/** A live session, as operators see it. */
export interface SessionView {
  readonly id: string;
  /** The name of the node that owns it. */
  readonly node: string;
  /** The tag of its home. */
  readonly home: string;
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly lastSeenAt: number;
  /** "name/version" as the client says. */
  readonly client: string | null;
  readonly protocolVersion: string | null;
  /** Open response streams. */
  readonly streams: number;
  /** Calls that have begun and not ended. */
  readonly inFlight: number;
  readonly principal: string | null;
  /** Why its server said that it can't go on elsewhere: a drain waits for it to the deadline. Absent when it can. */
  readonly pinned?: string;
}

/** up: takes new sessions; draining: serves those it has; down: ended, or does not answer. */
export type NodeState = "up" | "draining" | "down";

/** A node, as operators see it. */
export interface NodeView {
  readonly name: string;
  readonly tag: string;
  readonly state: NodeState;
  /** How many sessions it owns; 0 while it is down. */
  readonly sessions: number;
  readonly pid: number;
  readonly url: string;
  readonly admin: string | null;
  /** When it started: milliseconds since 1970. With its pid it tells one incarnation from another. */
  readonly since: number;
  /** How many sessions it has to hand over still. Absent when no drain is under way. */
  readonly drainLeft?: number;
}

/** A node that was told to drain or to restart. */
export interface ToldNode extends NodeView {
  /** How long it may take to hand its sessions over, in milliseconds. */
  readonly drainDeadline: number;
  /** How long it may take at most to end, in milliseconds. */
  readonly stopDeadline: number;
}

/** The sessions of several nodes. */
export interface SessionList {
  readonly sessions: readonly SessionView[];
  /** The names of nodes that did not answer: their sessions are missing from the list. */
  readonly silent: readonly string[];
}

/** The node that an admin listener stands for: what it needs of it, and no more. */
export interface AdminTarget {
  readonly metrics: NodeMetrics;
  /** How long a drain may take, in milliseconds. */
  readonly drainDeadline: number;
  /** How long its end may take at most, in milliseconds. */
  readonly stopDeadline: number;
  /** The node as the registry knows it. */
  record(): NodeRecord;
  /** Whether it has joined its cluster, and serves. */
  joined(): boolean;
  /** Takes new sessions or not. Rejects when the registry could not be told. */
  setState(state: "up" | "draining"): Promise<void>;
  /**
   * How many sessions a drain that is under way has to hand over still; undefined when none is. Right from the moment
   * that {@link setState} was asked to drain: whoever waits for the end of a drain begins to look then.
   */
  drainLeft(): number | undefined;
  /** Asks for an end of this incarnation, after which a supervisor starts the next. Absent in a node that is embedded. */
  readonly restart?: (() => void) | undefined;
  /** The sessions that this node owns. */
  sessions(): readonly SessionView[];
  /** All nodes that the registry knows. Rejects when the registry does not answer. */
  nodes(): Promise<readonly NodeRecord[]>;
  /** Ends a session wherever it lives. Gives whether it existed. */
  close(id: string): Promise<boolean>;
  /** The cluster's view, for a Traefik that asks for it over HTTP. */
  feed(): Promise<FeedAnswer>;
}

/** A node could not be told something, and what to do, where that is not to try again. */
export interface NotTold {
  readonly kind: "not-told";
  readonly why: string;
  readonly next?: string;
}

/** How a node's change of state went. */
export type StateChange =
  | { readonly kind: "changed"; readonly node: ToldNode }
  | { readonly kind: "unknown" }
  | NotTold;

/** How the wish for a node's restart went. */
export type RestartWish =
  /** The node as it was before: the next incarnation has another pid or another `since`. */
  | { readonly kind: "asked"; readonly node: ToldNode }
  | { readonly kind: "unknown" }
  /** It is embedded in an app, which alone can restart it. */
  | { readonly kind: "embedded" }
  | NotTold;

/** One node's own answers, or the whole cluster's. */
export type Scope = "node" | "cluster";

/** What the operators' API answers from. */
export interface AdminApi {
  nodes(scope: Scope): Promise<readonly NodeView[]>;
  sessions(scope: Scope): Promise<SessionList>;
  /** One session and, when it was not found, who could not be asked. */
  session(
    id: string,
    scope: Scope,
  ): Promise<{ readonly found?: SessionView | undefined; readonly silent: readonly string[] }>;
  close(id: string): Promise<boolean>;
  /** Takes a node, by its name, out of the pool or back into it. */
  setState(name: string, state: "up" | "draining", scope: Scope): Promise<StateChange>;
  /** Asks a node, by its name, to hand its sessions over and to end, so that its supervisor starts it again. */
  restart(name: string, scope: Scope): Promise<RestartWish>;
}
