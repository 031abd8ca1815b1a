import type { RefusalReason } from "./refusal.ts";

/** Who owns a session, as the registry has it. */
export interface Owner {
  /** The tag of the owner's node. */
  readonly tag: string;
  /** The start of that node that owns it: a node that was restarted holds none of its former sessions. */
  readonly incarnation: string;
}

/** What a node said when it was sent a request: it does not hold the session, or nothing that came through. */
export type PeerAnswer = "not-here" | "unreachable";

/** What a node knows of a session when a request for it arrives. */
export interface Knowledge {
  /** Whether this node holds the session's in-process state. */
  readonly local: boolean;
  /** How the session ended, if it ended on this node within the last hour. */
  readonly ended?: "closed" | "expired" | "server-gone" | undefined;
  /** The session's home, if that is another node, up, and requests can be passed to it. */
  readonly home?: string | undefined;
  /** What the nodes said that were asked already, by tag. */
  readonly answers?: ReadonlyMap<string, PeerAnswer>;
  /** The registry's answer; absent as long as it was not asked. `"unreachable"`: it did not answer in time. */
  readonly registry?: RegistryAnswer | undefined;
  /** Whether requests can be passed to the owner that the registry names: relays are on, and it has a peer link. */
  readonly canRelay?: boolean;
}

/** What the registry says of a session. */
export type RegistryAnswer = { readonly owner: Owner; readonly ownerIsUp: boolean } | "none" | "unreachable";

/** Where a request goes. */
export type Location =
  | { readonly kind: "here" }
  | { readonly kind: "relay"; readonly to: string }
  | { readonly kind: "ask-registry" }
  | { readonly kind: "refuse"; readonly reason: RefusalReason; readonly owner?: Owner };

/**
 * Decides where a request for a session goes. It is asked again whenever more is known: what a node said that the
 * request was passed to, what the registry said. Each node is asked once at most, and so is the registry, so that it
 * ends. In the happy path, and for a misroute to a node that is up, it costs no Redis command.
 */
export function locate(known: Knowledge): Location {
  if (known.local) return { kind: "here" };
  if (known.ended !== undefined) return { kind: "refuse", reason: known.ended };
  if (known.home !== undefined && known.answers?.has(known.home) !== true) return { kind: "relay", to: known.home };
  if (known.registry === undefined) return { kind: "ask-registry" };
  if (known.registry === "none") return { kind: "refuse", reason: "unknown" };
  // It may well live elsewhere: "unknown" would make the client give up a session that still has its state.
  if (known.registry === "unreachable") return { kind: "refuse", reason: "misrouted" };

  const { owner, ownerIsUp } = known.registry;
  if (!ownerIsUp) return { kind: "refuse", reason: "owner-gone", owner };
  const answer = known.answers?.get(owner.tag);
  // The owner itself doesn't hold it: it ended there, and only its entry is left.
  if (answer === "not-here") return { kind: "refuse", reason: "owner-gone", owner };
  if (answer === "unreachable" || known.canRelay !== true) return { kind: "refuse", reason: "misrouted", owner };
  return { kind: "relay", to: owner.tag };
}
