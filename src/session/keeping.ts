import type { Journal, StoredSession } from "../ports/registry.ts";
import type { SessionStore } from "./session-store.ts";

/** What a session has that outlives its node. */
export interface Keeping {
  readonly store: SessionStore;
  readonly journal: Journal;
  /** What is kept of it; absent for one that begins. */
  readonly stored?: StoredSession | undefined;
  /** For how long a message waits at most for a registry that is away, in milliseconds. */
  readonly holdMs: number;
  /** Whether it waits also while the registry is away from every node. */
  readonly strict: boolean;
  /** strict: a call that may not be run twice is noted before it runs. */
  readonly ledger: "relaxed" | "strict";
  /** So many events have left that could not be logged. */
  readonly leftUnlogged: (count: number) => void;
}
