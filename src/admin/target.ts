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
  /** When it started: milliseconds since 1970. */
  readonly since: number;
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
  /** The node as the registry knows it. */
  record(): NodeRecord;
  /** Takes new sessions or not. Rejects when the registry could not be told. */
  setState(state: "up" | "draining"): Promise<void>;
  /** The sessions that this node owns. */
  sessions(): readonly SessionView[];
  /** All nodes that the registry knows. Rejects when the registry does not answer. */
  nodes(): Promise<readonly NodeRecord[]>;
  /** Ends a session wherever it lives. Gives whether it existed. */
  close(id: string): Promise<boolean>;
  /** The cluster's view, for a Traefik that asks for it over HTTP. */
  feed(): Promise<FeedAnswer>;
}

/** How a node's change of state went. */
export type StateChange =
  | { readonly kind: "changed"; readonly node: NodeView }
  | { readonly kind: "unknown" }
  /** It could not be told. */
  | { readonly kind: "not-told"; readonly why: string };

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
}
