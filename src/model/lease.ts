/**
 * A node's right to own sessions: pure functions of what it was told, and of the time by both clocks. What no clock can
 * tell alone, the other does: the monotonic one may stand still while a machine sleeps, the wall clock may be set back.
 */

/** The time by both clocks, in milliseconds. */
export interface Reading {
  /** A clock that nobody sets. */
  readonly monotonic: number;
  /** Since 1970. */
  readonly wall: number;
}

/** Until when something holds, by both clocks. */
export type Until = Reading;

/** The share of a lease that its holder takes for itself: its clock may run slower than the one that ends the lease. */
const ownShare = 0.95;

/** How long something holds for whoever may act on it, from the moment in which it was asked for. */
export function heldUntil(askedAt: Reading, leaseMs: number): Until {
  return after(askedAt, leaseMs * ownShare);
}

/** How long something binds whoever gave it, from the moment in which it was given. */
export function boundUntil(givenAt: Reading, leaseMs: number): Until {
  return after(givenAt, leaseMs);
}

function after({ monotonic, wall }: Reading, ms: number): Until {
  return { monotonic: monotonic + ms, wall: wall + ms };
}

/** For whoever may act: over when either clock says so. */
export function isOver(until: Until, now: Reading): boolean {
  return now.monotonic >= until.monotonic || now.wall >= until.wall;
}

/** For whoever is bound: over when both clocks say so. */
export function isUnbound(until: Until, now: Reading): boolean {
  return now.monotonic >= until.monotonic && now.wall >= until.wall;
}

/** What another node answered last, when it was asked for its promise because the registry is away. */
export type Promised =
  /**
   * It lost the registry too, and adopts none of this node's sessions until then. So much is also true of one that was
   * dead when it was asked: its next start is a newcomer, which adopts nothing from a silent owner for a lease.
   */
  | { readonly kind: "promised"; readonly until: Until }
  /** It has the registry, or did not answer. */
  | { readonly kind: "silent" };

/** A node's right to own the sessions that it has. */
export interface Right {
  /** By the registry's word. */
  readonly lease: Until;
  /** What each node said that may live, since the registry is away; undefined while it answers. */
  readonly promises: ReadonlyMap<string, Promised> | undefined;
}

/**
 * Whether a node may act as owner. Its lease gives it the right; beyond it, while the registry is gone for everybody,
 * so does the promise of every other node that may live. A single silent one ends it: it may have the registry, and
 * adopt.
 */
export function mayOwn(right: Right, now: Reading): boolean {
  return !isOver(right.lease, now) || isPromised(right, now);
}

/**
 * Whether the registry is gone for everybody: every other node that may live has promised. Then nobody adopts, so that
 * what can't be written may leave all the same.
 */
export function isPromised({ promises }: Right, now: Reading): boolean {
  if (promises === undefined) return false;
  for (const promise of promises.values()) {
    if (promise.kind === "silent" || isOver(promise.until, now)) return false;
  }
  return true;
}

/** The right after the registry renewed the lease: what members promised meanwhile is needed no more. */
export function renewed(askedAt: Reading, leaseMs: number): Right {
  return { lease: heldUntil(askedAt, leaseMs), promises: undefined };
}

/**
 * The right after the members were asked for their promises. Whoever was not asked now counts as silent. Whoever
 * promised is bound until its promise is over, whatever it answers meanwhile: it may have the registry again a moment
 * before this node has.
 */
export function promisedBy(right: Right, answers: ReadonlyMap<string, Promised>, now: Reading): Right {
  const promises = new Map<string, Promised>();
  for (const [tag, answer] of answers) {
    const earlier = right.promises?.get(tag);
    const isBound = earlier?.kind === "promised" && !isOver(earlier.until, now);
    promises.set(tag, answer.kind === "silent" && isBound ? earlier : answer);
  }
  return { lease: right.lease, promises };
}
