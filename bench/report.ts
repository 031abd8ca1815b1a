import { cpus } from "node:os";
import type { Failure } from "./load/plan.ts";
import type { Comparison, Ratio, Summary } from "./rounds.ts";
import type { Percentiles, Spread } from "./statistics.ts";

/** What figures depend on. */
export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cores: number;
  readonly cpu: string;
}

export function machine(): Machine {
  const cores = cpus();
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cores: cores.length,
    cpu: cores[0]?.model ?? "unknown",
  };
}

/** A comparison as text: a table of the subjects, and the ratios beside their aims. */
export function describe({ connections, summaries, ratios }: Comparison): string {
  const groups = Object.keys(summaries[0]?.cpuMicros ?? {});
  const rows = [
    [`c=${connections}`, "calls/s", "p50 ms", "p99 ms", ...groups.map((group) => `µs CPU ${group}`), "failed"],
    ...summaries.map((summary) => [
      summary.subject,
      summary.perSecond.toFixed(0),
      summary.p50Ms.toFixed(3),
      summary.p99Ms.toFixed(3),
      ...groups.map((group) => summary.cpuMicros[group]?.toFixed(0) ?? "-"),
      failuresInWords(summary.failures),
    ]),
  ];
  return [table(rows), ...ratios.map(ratioInWords), ...samplesOf(summaries)].join("\n");
}

export function failuresInWords(failures: Readonly<Record<Failure, number>>): string {
  const some = (Object.entries(failures) as [Failure, number][]).filter(([, count]) => count > 0);
  return some.length === 0 ? "none" : some.map(([failure, count]) => `${count} ${failure}`).join(", ");
}

/** Whether no call to the first subject, which is Mooring, failed. */
export function rightlyAnswered({ summaries }: Comparison): boolean {
  const [ours] = summaries;
  return ours !== undefined && noneFailed(ours.failures);
}

export function noneFailed(failures: Readonly<Record<Failure, number>>): boolean {
  return Object.values(failures).every((count) => count === 0);
}

function ratioInWords(ratio: Ratio): string {
  const aim = ratio.aim === null ? "" : `, aim >= ${ratio.aim}: ${met(ratio.met === true)}`;
  return `${ratio.of} / ${ratio.to}: ${spreadInWords(ratio, 2)}${aim}`;
}

function samplesOf(summaries: readonly Summary[]): string[] {
  return summaries.flatMap(({ subject, samples }) => samples.slice(0, 3).map((sample) => `  ${subject}: ${sample}`));
}

/** What is said of an aim. */
export function met(isMet: boolean): string {
  return isMet ? "met" : "missed";
}

/** The median, and in parentheses the range. */
export function spreadInWords(spread: Spread, digits: number): string {
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => value.toFixed(digits));
  return `${median} (${min} to ${max})`;
}

/** A row of a table: milliseconds at p50 and p99, and the most. */
export function timesRow(name: string, { p50, p99, max }: Percentiles): string[] {
  return [name, ...[p50, p99, max].map((ms) => ms.toFixed(2))];
}

/** The first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
    )
    .map((cells) => cells.join("  "))
    .join("\n");
}
