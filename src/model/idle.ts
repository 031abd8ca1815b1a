/** What of a session decides how long its copy stays in memory. Times are milliseconds since 1970. */
export interface Use {
  /** When a request last used it, or it was last found in use. */
  readonly lastSeenAt: number;
  /** Streams that a connection carries. */
  readonly streams: number;
  /** Calls that have begun, and whose answers have not left. */
  readonly inFlight: number;
  /** Whether an answer may not have reached its client: what becomes of a repeat of that call only this copy knows. */
  readonly hasUnread: boolean;
  /** Whether a task runs that the server's own code started: it is to go on while nobody asks. */
  readonly hasStartedTask: boolean;
  /** Why it can't leave this process, if it can't. */
  readonly pinned: string | undefined;
  /** Whether all of it can be written to the registry just now, and is kept there. */
  readonly canBeKept: boolean;
}

/** Milliseconds. */
export interface IdleTimes {
  /** After how long without use a session leaves memory; 0: never. */
  readonly parkAfter: number;
  /** How long an unused session lives. */
  readonly sessionIdle: number;
}

/**
 * What becomes of a session now. `in-use`: somebody waits for it, or listens. `stay`: it is idle, and stays. `park`: it
 * leaves memory, and comes back with its next request. `expire`: it ends.
 */
export type Idleness = "in-use" | "stay" | "park" | "expire";

/** Decides what becomes of a session that lives on this node. */
export function idleness(use: Use, { parkAfter, sessionIdle }: IdleTimes, now: number): Idleness {
  if (use.streams > 0 || use.inFlight > 0) return "in-use";
  if (isExpired(use.lastSeenAt, sessionIdle, now)) return "expire";
  if (parkAfter === 0 || now - use.lastSeenAt < parkAfter) return "stay";
  const mustStay = use.hasUnread || use.hasStartedTask || use.pinned !== undefined || !use.canBeKept;
  return mustStay ? "stay" : "park";
}

/** Whether a session that nobody has used since then is over, wherever it is. */
export function isExpired(lastSeenAt: number, sessionIdle: number, now: number): boolean {
  return now - lastSeenAt >= sessionIdle;
}

const shortestRoundMs = 100;
const longestRoundMs = 30_000;

/** How often each session of a node is looked at, in milliseconds: so late it is parked, or ends, at the most. */
export function roundMs({ parkAfter, sessionIdle }: IdleTimes): number {
  const shortest = parkAfter === 0 ? sessionIdle : Math.min(parkAfter, sessionIdle);
  return Math.min(longestRoundMs, Math.max(shortestRoundMs, shortest / 10));
}
