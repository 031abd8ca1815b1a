/**
 * How a node's sessions leave it: what happens to one of them now, and how many may begin to move. A session that goes
 * home is decided by the same functions, without a deadline.
 */

/** Requests for a session are held at a closed gate, until the session has moved or the gate opens again. */
export interface Gate {
  readonly kind: "open" | "closed";
  /** For how long it has been so: milliseconds; without end where it was never closed. */
  readonly forMs: number;
}

/** A session whose turn to move has come. */
export interface Departing {
  /** Calls of it that run, or whose answer has not left. */
  readonly callsInFlight: number;
  readonly gate: Gate;
  /** Whether its server said that its state can't move. */
  readonly isPinned: boolean;
  /** Whether the registry answers: without it nobody can take a session over, and what is unwritten would be lost. */
  readonly isRegistryThere: boolean;
}

/** What happens to such a session now. */
export type DrainStep =
  /** Close the gate, end its copy, and hand it over. */
  | { readonly kind: "move" }
  /** Open the gate: it is served here, and looked at again in a moment. */
  | { readonly kind: "wait"; readonly for: "calls" | "registry" | "deadline" }
  /** Close the gate, and look again when a call ends, at the latest in a moment. */
  | { readonly kind: "hold" }
  /** Move it although calls are in flight: their clients are told that they may or may not have run. */
  | { readonly kind: "cut" }
  /** It can't move, and its time is over. */
  | { readonly kind: "end" };

/** For so long a gate is closed to see whether the calls in flight end soon: most take less. */
const brieflyMs = 100;
/** For so long a gate is open before it is tried again. */
const betweenMs = 900;
/** The share of the hold time for which a gate may be closed before the deadline; the rest is for the move itself. */
const lastShare = 0.75;

/**
 * Decides what happens to a session. It moves in a moment without calls. Where there is none, new calls are held for a
 * short time, again and again; before the deadline they are held until it, so that it finds only those that take long.
 * All times are milliseconds; `deadlineMs` without end: calls are never cut.
 */
export function nextDrainStep(
  { callsInFlight, gate, isPinned, isRegistryThere }: Departing,
  { sinceMs, deadlineMs, holdMs }: { readonly sinceMs: number; readonly deadlineMs: number; readonly holdMs: number },
): DrainStep {
  const isOver = sinceMs >= deadlineMs;
  if (isPinned) return isOver ? { kind: "end" } : { kind: "wait", for: "deadline" };
  // Also beyond the deadline: to end its copy now would lose what only this copy has. A node that has to stop says when.
  if (!isRegistryThere) return { kind: "wait", for: "registry" };
  if (callsInFlight === 0) return { kind: "move" };
  if (isOver) return { kind: "cut" };
  const longestMs = lastShare * holdMs;
  const isLast = sinceMs >= deadlineMs - longestMs;
  const mayHold =
    gate.kind === "open" ? isLast || gate.forMs >= betweenMs : gate.forMs < (isLast ? longestMs : brieflyMs);
  return mayHold ? { kind: "hold" } : { kind: "wait", for: "calls" };
}

/** How far the pace of moves has come. */
export interface Pace {
  /** When it was last asked: milliseconds by a clock that nobody sets. */
  readonly at: number;
  /** What may begin and has not: a part of one, or some if nobody asked for a while. */
  readonly credit: number;
}

/** What nobody asked for in time is not made up for: the receivers would get all of it at once. */
const burstMs = 250;

/** The first session may begin at once. */
export function startPace(now: number): Pace {
  return { at: now, credit: 1 };
}

/**
 * How many of the sessions that are left may begin to move now, and the pace to ask with next time. Faster than the
 * rate where that would not be done by the end: then so that it is.
 */
export function nextPace(
  { at, credit }: Pace,
  {
    now,
    perSecond,
    left,
    endsAt,
  }: {
    readonly now: number;
    readonly perSecond: number;
    /** Sessions that have not begun to move. */
    readonly left: number;
    /** When all should have begun, by the same clock; without end where there is no hurry. */
    readonly endsAt: number;
  },
): { readonly begin: number; readonly pace: Pace } {
  if (now >= endsAt) return { begin: left, pace: { at: now, credit: 0 } };
  const perMs = Math.max(perSecond / 1_000, left / (endsAt - now));
  const saved = Math.min(credit + perMs * (now - at), Math.max(1, perMs * burstMs));
  const begin = Math.min(left, Math.floor(saved));
  return { begin, pace: { at: now, credit: saved - begin } };
}
