/**
 * Why a task has to end on this node. After all but `closed`, `expired` and `stopped` it goes on where the session does:
 * elsewhere, or here after `parked`.
 */
export type StopReason =
  /** The session was closed. */
  | "closed"
  /** The session was idle for too long. */
  | "expired"
  /** The session lives on another node now. */
  | "moved"
  /** The session was idle, and left memory until its next request. */
  | "parked"
  /** The session's node stops. */
  | "node-stopping"
  /** The session's node may no longer own it: another one may have adopted it. */
  | "owner-lost"
  /** The server's own code stopped it. */
  | "stopped";

const because: Readonly<Record<StopReason, string>> = {
  closed: "its session was closed",
  expired: "its session was idle for too long",
  moved: "its session lives on another node now",
  parked: "its session was idle and leaves memory until its next request",
  "node-stopping": "its node stops",
  "owner-lost": "its node may no longer own the session",
  stopped: "it was told to",
};

/** The reason of a task's signal. */
export class TaskStopped extends Error {
  override readonly name = "TaskStopped";
  readonly reason: StopReason;

  constructor(task: string, reason: StopReason) {
    super(`The task ${JSON.stringify(task)} has to end here: ${because[reason]}.`);
    this.reason = reason;
  }
}
