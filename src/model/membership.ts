/** What tells the nodes of a cluster apart. */
export interface Member {
  readonly name: string;
  readonly tag: string;
  /** New at each start of the node. */
  readonly incarnation: string;
}

/** How a node found its tag held by another incarnation. All times are readings of one monotonic clock. */
export interface Look<N extends Member> {
  readonly by: N;
  /** For how long the holder's lease lasted still, when the registry answered. */
  readonly leftMs: number;
  /** When the registry was asked, and when its answer was here. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** The first look at a holder, and whether it answered when it was asked whether it lives. */
export interface FirstLook<N extends Member> extends Look<N> {
  readonly answers: boolean;
}

/** What a node does that finds its tag held. */
export type JoinStep =
  /** Ask the holder whether it lives, then decide again. */
  | { readonly kind: "ask" }
  /** Try to join again after so many milliseconds. */
  | { readonly kind: "wait"; readonly ms: number }
  /** Don't join. `same-tag`: the holder has another name. `answers`, `renewed`: it has the same name, and lives. */
  | { readonly kind: "refuse"; readonly why: "same-tag" | "answers" | "renewed" };

/** Redis counts a key's time in whole milliseconds. */
const roundingMs = 2;

/**
 * Decides what a node does that finds its tag held. Most often the holder is its own former life, which crashed: then
 * it waits until that lease runs out. It is refused when the holder gives a sign of life: it answers, or its lease ends
 * later than it did at the first look, which only the holder itself can bring about.
 */
export function nextJoinStep<N extends Member>({
  own,
  look,
  first,
  lookEveryMs,
}: {
  readonly own: Member;
  readonly look: Look<N>;
  /** The first look at this holder; undefined at the first. */
  readonly first: FirstLook<N> | undefined;
  readonly lookEveryMs: number;
}): JoinStep {
  if (look.by.name !== own.name) return { kind: "refuse", why: "same-tag" };
  if (first?.by.incarnation !== look.by.incarnation) return { kind: "ask" };
  if (first.answers) return { kind: "refuse", why: "answers" };
  // The registry looked somewhen between question and answer: only what no delay explains is a renewal.
  const latestEndAtFirst = first.answeredAt + first.leftMs;
  if (look.askedAt + look.leftMs > latestEndAtFirst + roundingMs) return { kind: "refuse", why: "renewed" };
  return { kind: "wait", ms: Math.min(lookEveryMs, Math.max(0, look.leftMs) + 1) };
}

/** What the registry said to a sign of life. */
export type LeaseAnswer<N> =
  | { readonly kind: "joined" }
  | { readonly kind: "renewed" }
  | { readonly kind: "held"; readonly by: N }
  | { readonly kind: "lost"; readonly to: N | undefined };

/** What a member does next. */
export type LeaseStep<N> =
  /** It is a member for another lease. */
  | { readonly kind: "go-on" }
  /** Its lease ran out (the registry was away, or the node was slow), and nobody took its name: it joins again. */
  | { readonly kind: "join-again" }
  /** Another incarnation took its name: it must not go on under it. */
  | { readonly kind: "give-up"; readonly to: N };

export function nextLeaseStep<N>(answer: LeaseAnswer<N>): LeaseStep<N> {
  switch (answer.kind) {
    case "joined":
    case "renewed":
      return { kind: "go-on" };
    case "held":
      return { kind: "give-up", to: answer.by };
    case "lost":
      return answer.to === undefined ? { kind: "join-again" } : { kind: "give-up", to: answer.to };
  }
}

/** The nodes as one of them knows them. */
export interface MemberTable<N extends Member> {
  /** By tag. */
  readonly nodes: ReadonlyMap<string, N>;
  /** Until when nodes are kept that the registry doesn't list: it is known to have lost entries. */
  readonly keepUntil: number;
}

export function noMembers<N extends Member>(): MemberTable<N> {
  return { nodes: new Map<string, N>(), keepUntil: 0 };
}

/**
 * The table of a node whose lease has run out. So have the others', if it was the registry that was away: they are kept
 * until every node that lives has had the time to join again.
 */
export function afterLapse<N extends Member>({ nodes }: MemberTable<N>, now: number, renewMs: number): MemberTable<N> {
  return { nodes, keepUntil: now + 2 * renewMs };
}

/**
 * The table after the registry listed its nodes. A list without the very node that asks comes from a registry that lost
 * entries (it was emptied, or fell back to an older copy): what else it lacks is kept until every node that lives has
 * had the time to join again.
 */
export function nextMembers<N extends Member>(
  known: MemberTable<N>,
  {
    listed,
    ownTag,
    now,
    renewMs,
  }: { readonly listed: readonly N[]; readonly ownTag: string; readonly now: number; readonly renewMs: number },
): MemberTable<N> {
  const entries = listed.map((node) => [node.tag, node] as const);
  const keepUntil = listed.some(({ tag }) => tag === ownTag) ? known.keepUntil : now + 2 * renewMs;
  return { nodes: now < keepUntil ? new Map([...known.nodes, ...entries]) : new Map(entries), keepUntil };
}
