/**
 * The names of all events that Mooring logs. They are stable: operators count and alert by them (docs/operations.md).
 */
export type LogEvent =
  | "node-started"
  | "node-restarting"
  | "node-stopping"
  | "node-stopped"
  | "node-waiting"
  | "node-draining"
  | "node-up"
  | "node-lost"
  | "lease-not-renewed"
  | "lease-over"
  | "session-adopted"
  | "session-not-adopted"
  | "session-unreadable"
  | "session-parked"
  | "session-not-parked"
  | "session-unparked"
  | "session-lost"
  | "session-handed-over"
  | "session-not-taken"
  | "session-taken"
  | "session-not-moved"
  | "session-pinned"
  | "drain-over"
  | "registry-lost-entries"
  | "registry-not-replicated"
  | "session-opened"
  | "session-closed"
  | "misrouted"
  | "refused"
  | "unknown"
  | "peer-refused"
  | "peer-unreachable"
  | "request-failed"
  | "server-error"
  | "stream-overflowed"
  | "registry-down"
  | "registry-up"
  | "registry-subscription-down"
  | "registry-subscription-up"
  | "registry-write-deferred"
  | "registry-write-dropped"
  | "registry-entry-missing"
  | "admin-request-failed"
  | "app-failed"
  | "cluster-starting"
  | "cluster-ready"
  | "cluster-not-noted"
  | "cluster-stopping"
  | "cluster-stopped"
  | "process-started"
  | "process-exited"
  | "process-output"
  | "edge-published"
  | "edge-refused"
  | "program-fetching"
  | "program-installed"
  | "command-failed"
  | "nodes-silent";

/** What a log line says besides its event: plain data, in the words of docs/glossary.md. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a part of Mooring says what happened. */
export interface Log {
  debug(event: LogEvent, fields?: LogFields): void;
  info(event: LogEvent, fields?: LogFields): void;
  warn(event: LogEvent, fields?: LogFields): void;
  error(event: LogEvent, fields?: LogFields): void;
}

/** For nodes embedded in an app that gives no log. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
