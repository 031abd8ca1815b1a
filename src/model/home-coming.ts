/** Which sessions go home, when their homes are back: so that after a rolling restart each is on its first hop again. */

/** A node of the table, as far as it matters here. */
export interface HomeNode {
  readonly tag: string;
  readonly incarnation: string;
  readonly state: "up" | "draining";
}

/** Since when a node is up without a break, by the clock of whoever looks at it: nobody sets that one. */
export interface UpSince {
  readonly incarnation: string;
  readonly since: number;
}

/** Since when each node is up, by tag, after the registry listed them: one that drains, or is missing, begins anew. */
export function nextUpSince(
  known: ReadonlyMap<string, UpSince>,
  listed: readonly HomeNode[],
  now: number,
): ReadonlyMap<string, UpSince> {
  const next = new Map<string, UpSince>();
  for (const { tag, incarnation, state } of listed) {
    if (state !== "up") continue;
    const before = known.get(tag);
    next.set(tag, before?.incarnation === incarnation ? before : { incarnation, since: now });
  }
  return next;
}

/** A session that lives here, and has its home elsewhere. */
export interface Guest {
  readonly id: string;
  /** The tag of its home. */
  readonly home: string;
  /** Since when it is here: milliseconds by the same clock. */
  readonly since: number;
  /** The incarnation of its home that can't take it: it said so, or can't read the session's state. */
  readonly barredBy?: string | undefined;
  /** When it last tried to go home and did not get there; undefined: never. */
  readonly triedAt?: number | undefined;
}

export interface HomeComingTimes {
  /** For how long a home has to be up: one that fails again at once would only be a burden. */
  readonly settleMs: number;
  /** For how long a session stays where it came to, and waits after a try that failed: it must not go to and fro. */
  readonly restMs: number;
}

/**
 * Decides which sessions may go home now, those first that have been here longest. A node that drains doesn't ask: there
 * all sessions leave.
 */
export function homeComings<G extends Guest>(
  guests: readonly G[],
  {
    homes,
    now,
    settleMs,
    restMs,
  }: { readonly homes: ReadonlyMap<string, UpSince>; readonly now: number } & HomeComingTimes,
): G[] {
  const ready = guests.filter(({ home, since, barredBy, triedAt }) => {
    const up = homes.get(home);
    if (up === undefined || up.incarnation === barredBy || now - up.since < settleMs) return false;
    return now - Math.max(since, triedAt ?? since) >= restMs;
  });
  return ready.sort((one, other) => one.since - other.since);
}
