import type { Log, LogFields } from "../ports/log.ts";
import type { Told } from "./failure.ts";
import { createLog, jsonSink, type LogSink, prettySink } from "./log.ts";

/** How long the reader of what was printed may take when the process ends. */
const lastWordsMs = 500;

/** Where a long-running command logs: for programs with `--json` or without a terminal, else for people. */
export function logSink(json: boolean): LogSink {
  return json || !process.stderr.isTTY ? jsonSink() : prettySink();
}

export function logTo(sink: LogSink, fields: LogFields = {}): Log {
  return createLog(sink, fields);
}

/** Prints one JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says on stderr how far a command is, to a person who waits for its result. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Says on stderr that something is missing from the result. */
export function warn(json: boolean, message: string, fields: LogFields): void {
  if (json) createLog(jsonSink()).warn("nodes-silent", { ...fields, message });
  else process.stderr.write(`${message}\n`);
}

/** Says on stderr why a command failed. */
export function reportFailure({ code, message, stack }: Told, json: boolean): void {
  if (json) {
    createLog(jsonSink()).error("command-failed", { code, message, ...(stack === undefined ? {} : { stack }) });
    return;
  }
  process.stderr.write(`mooring: ${message}\n`);
  if (stack !== undefined) process.stderr.write(`${stack}\n`);
}

/** Ends the process once what was printed has been read, or nobody reads it. */
export async function endProcess(exitCode: number): Promise<never> {
  const deadline = performance.now() + lastWordsMs;
  const unread = () => process.stdout.writableLength + process.stderr.writableLength > 0;
  while (unread() && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  process.exit(exitCode);
}

/** Lines up the cells of a table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line).join("\n");
}

/** `1 session`, `2 sessions`. */
export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** How long ago something was, for people. */
export function ago(since: number, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - since) / 1_000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes}min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.round(hours / 24)}d`;
}
