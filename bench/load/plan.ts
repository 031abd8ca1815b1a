/** What is called: `echo` changes nothing; `count` changes the session's state, and says how often it ran. */
export type Tool = "echo" | "count";

/** What the load process is asked to do: a closed loop, each connection sends its next call when the last is answered. */
export interface LoadPlan {
  /** The MCP endpoint, on loopback. */
  readonly url: string;
  /** Where the sessions begin, if that is another node than the one that the calls go to. */
  readonly openAt?: string | undefined;
  /** Default: echo. */
  readonly tool?: Tool | undefined;
  readonly sessions: number;
  /** How many calls are under way at a time; each has a connection of its own. */
  readonly connections: number;
  /** For how long calls are sent before they are measured. Their failures count too. */
  readonly warmupMs: number;
  /** Ends after so many calls, or after `limitMs`, whichever comes first. */
  readonly calls: number;
  readonly limitMs: number;
  /** Each call has the same id and text: for a target that can only give one answer. */
  readonly same: boolean;
  /** Processes whose CPU time is taken over the measured calls, in named groups of process ids. */
  readonly processes: Readonly<Record<string, readonly number[]>>;
}

/**
 * How a call can fail. cut: the answer began with 200 and is not whole, or what it carries can't be parsed. unanswered:
 * the connection failed or ended before an answer began. late: nothing came for the deadline. refused: another status
 * than 200. wrong: a whole answer that isn't the one to this call.
 */
export type Failure = "cut" | "unanswered" | "late" | "refused" | "wrong";

export interface LoadResult {
  /** Calls that were answered rightly, in the measured time. */
  readonly calls: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU microseconds a call: the load's own under `load`, then the plan's groups. Null where it can't be known. */
  readonly cpuMicros: Readonly<Record<string, number | null>>;
  readonly failures: Readonly<Record<Failure, number>>;
  /** The first failures in words. */
  readonly samples: readonly string[];
}

export interface LoadProgress {
  readonly calls: number;
  readonly seconds: number;
  readonly failures: Readonly<Record<Failure, number>>;
}
