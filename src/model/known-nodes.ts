import type { Member } from "./membership.ts";

/**
 * The nodes that may live, as one of them knows them: the members, and those whose lease ran out a while ago. Frozen or
 * cut off, such a node may come back to the registry before anybody else does.
 */
export interface KnownNodes<N extends Member> {
  /** By tag, the one that was listed longest ago first. */
  readonly nodes: ReadonlyMap<string, KnownNode<N>>;
  /** The incarnations that left, the first to leave first. */
  readonly left: ReadonlySet<string>;
  /** When the registry listed its nodes last: milliseconds, monotonic. */
  readonly listedAt: number;
}

interface KnownNode<N extends Member> {
  readonly node: N;
  /** For how long the registry has answered without it. */
  readonly missingMs: number;
}

/** How many nodes are remembered of which the registry knows nothing any more, and how many that left. */
const mostMissing = 1_000;
const mostLeft = 1_000;

export function nobodyKnown<N extends Member>(): KnownNodes<N> {
  return { nodes: new Map(), left: new Set(), listedAt: Number.NEGATIVE_INFINITY };
}

/**
 * What is known after the registry listed its nodes. A node that it does not list is forgotten after `goneAfterMs`, of
 * which only the time counts in which the registry answered: while it is away nobody can be in it. One that comes back
 * later still is a newcomer, and adopts with care.
 */
export function knownAfterList<N extends Member>(
  known: KnownNodes<N>,
  {
    listed,
    now,
    renewMs,
    goneAfterMs,
  }: { readonly listed: readonly N[]; readonly now: number; readonly renewMs: number; readonly goneAfterMs: number },
): KnownNodes<N> {
  const step = Math.min(now - known.listedAt, 2 * renewMs);
  const nodes = new Map<string, KnownNode<N>>();
  for (const [tag, { node, missingMs }] of known.nodes) {
    const missing = missingMs + step;
    if (missing < goneAfterMs) nodes.set(tag, { node, missingMs: missing });
  }
  for (const node of listed) {
    nodes.delete(node.tag);
    // The list may be older than what was told.
    if (!known.left.has(node.incarnation)) nodes.set(node.tag, { node, missingMs: 0 });
  }
  const tooMany = nodes.size - listed.length - mostMissing;
  for (const tag of [...nodes.keys()].slice(0, Math.max(0, tooMany))) nodes.delete(tag);
  return { nodes, left: known.left, listedAt: now };
}

/** What is known after a node left: it has given up all that it owned, and will adopt nothing. */
export function knownAfterLeave<N extends Member>(
  known: KnownNodes<N>,
  { tag, incarnation }: Pick<Member, "tag" | "incarnation">,
): KnownNodes<N> {
  const nodes = new Map(known.nodes);
  if (nodes.get(tag)?.node.incarnation === incarnation) nodes.delete(tag);
  return { ...known, nodes, left: new Set([...[...known.left].slice(1 - mostLeft), incarnation]) };
}
