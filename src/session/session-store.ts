import type { SessionChanges } from "../ports/registry.ts";

/** How a session's write went. */
export type Kept =
  | "written"
  /** The registry is away: what was to be written is still unwritten, and the session goes on without. */
  | "unavailable"
  /** The session is owned by another node now, or closed: this copy ends, and nothing more of it may leave. */
  | "lost";

/** Keeps what outlives the node that holds a session. One for each session; absent in the policy `reject`. */
export interface SessionStore {
  /** Whether this node may still act as the session's owner: asked before each message leaves. */
  owns(): boolean;
  /**
   * Whether the registry is gone for every node, so that nobody else will take the session over: then what can't be
   * written may leave all the same.
   */
  isPromised(): boolean;
  /** Calls back when {@link isPromised} has become true. Gives the way to stop it. */
  onPromised(listener: () => void): () => void;
  /** Writes as one step. Ends within a deadline, at once while the registry is known to be away. Never rejects. */
  write(changes: SessionChanges): Promise<Kept>;
  /** Calls back when the registry is back: what is unwritten can be written now. Gives the way to stop it. */
  onBack(listener: () => void): () => void;
}
