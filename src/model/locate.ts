import type { RefusalReason } from "./refusal.ts";

/** Who owns a session, as the registry has it. */
export interface Owner {
  /** The tag of the owner's node. */
  readonly tag: string;
  /** The start of that node that owns it: a node that was restarted holds none of its former sessions. */
  readonly incarnation: string;
}

/** What came of passing a request to a node that did not answer it for the client. */
export type PeerAnswer =
  /** It does not hold the session. */
  | "not-here"
  /** Nobody listens at its address. */
  | "refused"
  /** Nothing came. It may be frozen, or cut off. */
  | "silent";

/** What the registry says of a session. */
export type RegistryAnswer =
  | {
      readonly owner: Owner;
      readonly epoch: number;
      /**
       * `up`: its lease holds. `over`: its lease is over. `gone`: it left, or another start of its node joined. `self`:
       * this very node.
       */
      readonly ownerIs: "up" | "over" | "gone" | "self";
      /** Whether a refused connection proves that the owner is gone. */
      readonly ownerIsDirect: boolean;
      /** Whether requests can be passed to the owner: relays are on, and it has a peer link. */
      readonly canRelay: boolean;
      /** Why the session can't move, if it can't. */
      readonly pinned?: string | undefined;
    }
  | "none"
  | "unreachable";

/** What a node knows of a session when a request for it arrives. */
export interface Knowledge {
  /** Whether this node holds the session's in-process state, and may act as its owner. */
  readonly local: boolean;
  /** How the session ended, if it ended on this node within the last hour. */
  readonly ended?: "closed" | "expired" | "server-gone" | undefined;
  /** Where it was when it was last looked for from here, if that is another node, up, and can be passed requests. */
  readonly note?: string | undefined;
  /** The session's home, on the same conditions. */
  readonly home?: string | undefined;
  /** What the nodes said that were asked already, by tag. */
  readonly answers?: ReadonlyMap<string, PeerAnswer>;
  /** The registry's answer; absent as long as it was not asked. `"unreachable"`: it did not answer in time. */
  readonly registry?: RegistryAnswer | undefined;
  /** Whether this cluster adopts sessions whose owner is gone. */
  readonly policy?: "resume" | "reject";
  /**
   * Nobody may adopt it just now, or take it for unknown: the registry's entries were lost a moment ago, its owner was
   * promised so, or the registry was away a moment ago and has nothing of it.
   */
  readonly quiet?: boolean;
  /**
   * Whether this node joined less than a lease ago. An owner that is silent may live by the promises of nodes that lost
   * the registry with it, and did not ask this one.
   */
  readonly isNewcomer?: boolean;
}

/** Where a request goes. */
export type Location =
  | { readonly kind: "here" }
  | { readonly kind: "relay"; readonly to: string }
  | { readonly kind: "ask-registry" }
  /** Restore the session here, if it is of that epoch still. */
  | { readonly kind: "adopt"; readonly epoch: number; readonly owner: Owner }
  /** It can't be decided yet: look again in a moment, and refuse it as misrouted when the hold time is over. */
  | { readonly kind: "wait"; readonly owner?: Owner }
  | { readonly kind: "refuse"; readonly reason: RefusalReason; readonly owner?: Owner };

/**
 * Decides where a request for a session goes. It is asked again whenever more is known: what a node said that the
 * request was passed to, what the registry said. Each node is asked once at most, and so is the registry, so that it
 * ends. In the happy path, and for a misroute to a node that is up, it costs no Redis command.
 */
export function locate(known: Knowledge): Location {
  if (known.local) return { kind: "here" };
  if (known.ended !== undefined) return { kind: "refuse", reason: known.ended };
  for (const likely of [known.note, known.home]) {
    if (likely !== undefined && known.answers?.has(likely) !== true) return { kind: "relay", to: likely };
  }
  if (known.registry === undefined) return { kind: "ask-registry" };
  // It may well live elsewhere: "unknown" would make the client give up a session that still has its state.
  if (known.registry === "unreachable") return undecided(known);
  if (known.registry === "none") {
    // Entries that were lost, or could not be written yet, come with their owners.
    return known.quiet === true ? undecided(known) : { kind: "refuse", reason: "unknown" };
  }

  const { owner, ownerIs, ownerIsDirect, canRelay } = known.registry;
  if (ownerIs === "self" || ownerIs === "gone") return adoption(known, known.registry);
  const answer = known.answers?.get(owner.tag);
  // Asked also when its lease is over: while the registry is away for everybody, an owner goes on without.
  if (answer === undefined && canRelay) return { kind: "relay", to: owner.tag };
  // The owner itself doesn't hold it (any more).
  if (answer === "not-here") return adoption(known, known.registry);
  if (answer === "refused" && ownerIsDirect) return adoption(known, known.registry);
  if (ownerIs === "over") return adoption(known, known.registry, known.isNewcomer);
  // Relays are off, or its node has no peer link: it lives, and waiting changes nothing.
  if (answer === undefined) return { kind: "refuse", reason: "misrouted", owner };
  return undecided(known, owner);
}

/** @param mayLive whether the owner may live, and hold the session */
function adoption(known: Knowledge, found: Exclude<RegistryAnswer, string>, mayLive = false): Location {
  const { owner, epoch, pinned } = found;
  const gone: Location = { kind: "refuse", reason: "owner-gone", owner };
  if (known.policy === "reject") return gone;
  // Its owner may well live: that it can't be adopted then is no reason to say that it is gone.
  if (known.quiet === true || mayLive) return { kind: "wait", owner };
  return pinned === undefined ? { kind: "adopt", epoch, owner } : gone;
}

/** Where sessions are never adopted, waiting would end as it began. */
function undecided(known: Knowledge, owner?: Owner): Location {
  const of = owner === undefined ? {} : { owner };
  return known.policy === "reject" ? { kind: "refuse", reason: "misrouted", ...of } : { kind: "wait", ...of };
}
