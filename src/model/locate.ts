import type { RefusalReason } from "./refusal.ts";

/** Who owns a session, as the registry has it. */
export interface Owner {
  /** The tag of the owner's node. */
  readonly tag: string;
  /** The start of that node that owns it: a node that was restarted holds none of its former sessions. */
  readonly incarnation: string;
}

/** What a node knows of a session when a request for it arrives. */
export interface Knowledge {
  /** Whether this node holds the session's in-process state. */
  readonly local: boolean;
  /** How the session ended, if it ended on this node within the last hour. */
  readonly ended?: "closed" | "expired" | "server-gone" | undefined;
  /** The registry's answer; absent as long as it was not asked. `"unreachable"`: it did not answer in time. */
  readonly registry?: { readonly owner: Owner; readonly ownerIsUp: boolean } | "none" | "unreachable";
}

/** Where a request goes. */
export type Location =
  | { readonly kind: "here" }
  | { readonly kind: "ask-registry" }
  | { readonly kind: "refuse"; readonly reason: RefusalReason; readonly owner?: Owner };

/**
 * Decides where a request for a session goes. It is asked first with what is known at no cost, and once more with the
 * registry's answer when it said `ask-registry`: in the happy path a request costs no Redis command.
 */
export function locate(known: Knowledge): Location {
  if (known.local) {
    return { kind: "here" };
  }
  if (known.ended !== undefined) {
    return { kind: "refuse", reason: known.ended };
  }
  if (known.registry === undefined) {
    return { kind: "ask-registry" };
  }
  if (known.registry === "none") {
    return { kind: "refuse", reason: "unknown" };
  }
  if (known.registry === "unreachable") {
    // It may well live elsewhere: "unknown" would make the client give up a session that still has its state.
    return { kind: "refuse", reason: "misrouted" };
  }
  const { owner, ownerIsUp } = known.registry;
  return { kind: "refuse", reason: ownerIsUp ? "misrouted" : "owner-gone", owner };
}
