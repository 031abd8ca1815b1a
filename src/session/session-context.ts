import type { Principal } from "../ports/registry.ts";

/**
 * A value of a session's state. Assign to `value`, or change it in place: both count. What is not plain JSON (a Date, a
 * Map, a function, undefined, NaN, something that contains itself), or is larger than 1 MiB as JSON, is refused with a
 * StateError: at once when it is assigned; for a change in place, in place of the answer of the call that made it.
 */
export interface StateCell<T> {
  value: T;
}

export interface StateOptions<T> {
  /**
   * The shape of the value, as a whole number: 0 unless it is given. Raise it when older values need to be migrated. Once
   * that was done, code of a lower version never gets the value: the session goes to a node that runs the newer code.
   */
  readonly version?: number;
  /** Makes a value of this version from one of a lower version that was kept. */
  readonly migrate?: (value: unknown, fromVersion: number) => T;
}

/** What a task gets each time it starts. */
export interface TaskContext {
  /** Whether it goes on after the session came to this node, instead of beginning. */
  readonly restored: boolean;
  /** Aborts when the task has to end here; its `reason` is a TaskStopped. */
  readonly signal: AbortSignal;
}

/** A task lasts until what `run` gives is settled. Once the signal has aborted, whatever it throws is its end. */
export type TaskRun = (context: TaskContext) => void | Promise<void>;

export interface TaskOptions {
  /**
   * true, unless given: starts when the session has begun, and again after each move. false: starts by `start()`, and
   * again after a move if it was running.
   *
   * An idle session leaves memory (`--park-after`) and comes back with its next request, which for tasks is as a move. One
   * that was started by `start()` keeps its session in memory for as long as it runs; one that starts by itself does not.
   */
  readonly auto?: boolean;
}

export interface TaskHandle {
  /**
   * Starts the task; does nothing when it is running, or when the session has ended. If it was stopped and has not ended
   * yet, it starts as soon as it has. Before the session has begun: starts with it.
   */
  start(): void;
  /** Aborts the task's signal. It isn't started again after a move, unless it is `auto`. */
  stop(): void;
  /** Whether it has been started, and neither stopped nor ended since. */
  readonly running: boolean;
}

/** A session, as the server that was made for it sees it. */
export interface SessionContext {
  /** `<tag>.<random>`; never changes during the session's life. */
  readonly id: string;
  /** The node that owns the session now. */
  readonly node: { readonly name: string; readonly tag: string };
  /** Counts changes of owner, from 1. */
  readonly epoch: number;
  /** Whom the session belongs to: what `authenticate` gave for the request that began it. */
  readonly principal: Principal | undefined;
  /**
   * Aborts when this node's copy of the session ends, also because an idle session leaves memory: end channels, timers and
   * workers then.
   */
  readonly signal: AbortSignal;

  /**
   * The session's own state under `key`: `initial` at first, and after a move what it was. What a client has been told
   * is never lost: changed state is kept before any message of the session leaves. The same key gives the same cell.
   *
   * A reference to an object of it can be held: over the awaits of a call or a task, for ten seconds after that, and for
   * as long as the session lives if it was taken while the server was made. Read `value` anew where none of these holds;
   * work that outlives its call is best a {@link task}.
   *
   * Throws a StateError when `initial` isn't plain JSON, when what is kept can't be read by this code (see
   * {@link StateOptions}), and for a key that begins with "mooring.", which is Mooring's own.
   */
  state<T>(key: string, initial: T, options?: StateOptions<T>): StateCell<T>;

  /**
   * Work that goes on beside calls and after a move: a worker, a subscription, a timer. Declare it while the server is
   * made. Keep its position in session state, and change it in the same turn in which you send what it stands for: the
   * two are kept as one. A session runs each task once at a time; what `run` throws is logged.
   *
   * @param name unique in the session
   */
  task(name: string, run: TaskRun, options?: TaskOptions): TaskHandle;

  /**
   * Says that the session can't move, because it holds what only this process has: it ends with the reason
   * `owner-gone` when its node goes, and stays in memory however long it is idle.
   *
   * @param why what holds it, for whoever looks into the registry
   */
  pin(why: string): void;
}
