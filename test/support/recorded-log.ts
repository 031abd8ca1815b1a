import type { Log, LogEvent, LogFields } from "../../src/ports/log.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: LogEvent;
  readonly fields: LogFields;
}

/** A log that keeps its lines, for tests to look at. */
export class RecordedLog implements Log {
  readonly lines: LogLine[] = [];

  /** The fields of all lines of one event. */
  of(event: LogEvent): LogFields[] {
    return this.lines.filter((line) => line.event === event).map((line) => line.fields);
  }

  debug(event: LogEvent, fields: LogFields = {}): void {
    this.lines.push({ level: "debug", event, fields });
  }

  info(event: LogEvent, fields: LogFields = {}): void {
    this.lines.push({ level: "info", event, fields });
  }

  warn(event: LogEvent, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", event, fields });
  }

  error(event: LogEvent, fields: LogFields = {}): void {
    this.lines.push({ level: "error", event, fields });
  }
}
