/** A member that sessions might move to. */
export interface Place {
  readonly tag: string;
  readonly state: "up" | "draining";
  /** How many sessions it has, as far as is known: what it said, and what was sent there since. */
  readonly load: number;
}

/** A session that has to leave its node. */
export interface Leaving {
  /** The tag of its home. */
  readonly home: string;
  /** The tags of nodes that can't take it: they can't read its state, or have said no. */
  readonly barred?: ReadonlySet<string> | undefined;
}

/** Where a session goes. */
export type Placement =
  | { readonly kind: "home"; readonly to: string }
  | { readonly kind: "spread"; readonly to: string }
  /** `nobody-up`: no other node is up. `all-barred`: some are, but none of them can take it. */
  | { readonly kind: "stay"; readonly why: "nobody-up" | "all-barred" };

/**
 * Decides where a session goes: to its home if that is up, else to the node that has the fewest. Never to the node that
 * it leaves, and never to one that drains: that one would only have to pass it on. Whoever is told no by the node it
 * went to asks again with that one barred.
 */
export function place({ home, barred }: Leaving, members: readonly Place[], own: string): Placement {
  const loads = new Map<string, number>();
  for (const { tag, state, load } of members) if (state === "up" && tag !== own) loads.set(tag, load);
  if (loads.size === 0) return { kind: "stay", why: "nobody-up" };
  if (loads.has(home) && barred?.has(home) !== true) return { kind: "home", to: home };
  let to: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [tag, load] of loads) {
    if (load >= least || barred?.has(tag) === true) continue;
    to = tag;
    least = load;
  }
  return to === undefined ? { kind: "stay", why: "all-barred" } : { kind: "spread", to };
}
