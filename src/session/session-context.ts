/** A value of a session's state. Assign to `value`, or change it in place. */
export interface StateCell<T> {
  value: T;
}

/** A session, as the server that was made for it sees it. */
export interface SessionContext {
  /** `<tag>.<random>`; never changes during the session's life. */
  readonly id: string;
  /** The node that owns the session now. */
  readonly node: { readonly name: string; readonly tag: string };
  /** Counts changes of owner, from 1. */
  readonly epoch: number;
  /** Aborts when this node's copy of the session ends: end channels, timers and workers then. */
  readonly signal: AbortSignal;
  /** The session's own state under `key`, which is `initial` at first. The same key gives the same cell. */
  state<T>(key: string, initial: T): StateCell<T>;
}
