import type { Failure, LoadResult } from "./load/plan.ts";
import type { Load } from "./load.ts";
import { ratios, type Spread, spread } from "./statistics.ts";
import type { Subject } from "./subjects/start.ts";

export interface RoundsOptions {
  readonly sessions: number;
  readonly rounds: number;
  /** How long each run is measured. */
  readonly seconds: number;
  readonly warmupSeconds: number;
}

export interface Run {
  readonly subject: string;
  readonly round: number;
  readonly result: LoadResult;
}

/** What a subject did in all its rounds: medians of the rounds, sums of the failures. */
export interface Summary {
  readonly subject: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: Readonly<Record<string, number | null>>;
  readonly calls: number;
  readonly failures: Readonly<Record<Failure, number>>;
  readonly samples: readonly string[];
}

/** The first subject's calls per second against another's, by rounds. */
export interface Ratio extends Spread {
  readonly of: string;
  readonly to: string;
  readonly rounds: readonly number[];
  readonly aim: number | null;
  readonly met: boolean | null;
}

export interface Comparison {
  readonly connections: number;
  readonly summaries: readonly Summary[];
  readonly ratios: readonly Ratio[];
}

/** A session is not in two calls at once here, so there have to be at least as many of them as calls under way. */
export function checkSessions({ sessions }: RoundsOptions, connections: readonly number[]): void {
  const most = Math.max(...connections);
  if (sessions < most) {
    throw new Error(
      `--sessions (${sessions}) must be at least --connections (${most}). Raise the one or lower the other.`,
    );
  }
}

/**
 * Puts the load on the subjects in turn, A B C A B C …, and compares the first with each of the others.
 *
 * @param aims what the ratio to a subject, by its name, should at least be
 */
export async function compare(
  load: Load,
  subjects: readonly Subject[],
  connections: number,
  options: RoundsOptions,
  aims: Readonly<Record<string, number>>,
): Promise<Comparison> {
  return compared(subjects, connections, await measure(load, subjects, connections, options), aims);
}

/** Puts the load on the subjects in turn, A B C A B C …. */
export async function measure(
  load: Load,
  subjects: readonly Subject[],
  connections: number,
  options: RoundsOptions,
): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const subject of subjects) {
      const result = await runOn(load, subject, connections, options);
      runs.push({ subject: subject.name, round, result });
      const perSecond = Math.round(result.calls / result.seconds);
      process.stderr.write(`c=${connections} round ${round}/${options.rounds} ${subject.name}: ${perSecond} calls/s\n`);
    }
  }
  return runs;
}

/** Puts the load on one subject for the time of a run. */
export function runOn(
  load: Load,
  { url, openAt, tool, same, processes }: Omit<Subject, "name">,
  connections: number,
  { sessions, seconds, warmupSeconds }: RoundsOptions,
): Promise<LoadResult> {
  return load.run({
    url,
    openAt,
    tool,
    same,
    processes,
    connections,
    sessions,
    warmupMs: warmupSeconds * 1_000,
    calls: Number.MAX_SAFE_INTEGER,
    limitMs: seconds * 1_000,
  });
}

/** Compares the first subject with each of the others. */
export function compared(
  subjects: readonly Subject[],
  connections: number,
  runs: readonly Run[],
  aims: Readonly<Record<string, number>>,
): Comparison {
  const [first, ...others] = subjects.map(({ name }) => name);
  return {
    connections,
    summaries: subjects.map(({ name }) => summarize(name, resultsOf(runs, name))),
    ratios: others.map((other) => ratio(runs, first as string, other, aims[other] ?? null)),
  };
}

export function resultsOf(runs: readonly Run[], subject: string): LoadResult[] {
  return runs.filter((run) => run.subject === subject).map((run) => run.result);
}

function perSecondOf(results: readonly LoadResult[]): number[] {
  return results.map(({ calls, seconds }) => calls / seconds);
}

function ratio(runs: readonly Run[], of: string, to: string, aim: number | null): Ratio {
  const rounds = ratios(perSecondOf(resultsOf(runs, of)), perSecondOf(resultsOf(runs, to)));
  const across = spread(rounds);
  return { of, to, rounds, ...across, aim, met: aim === null ? null : across.median >= aim };
}

function summarize(subject: string, results: readonly LoadResult[]): Summary {
  const median = (values: readonly number[]): number => spread(values).median;
  const cpuMicros: Record<string, number | null> = {};
  for (const group of Object.keys(results[0]?.cpuMicros ?? {})) {
    const known = results.map((result) => result.cpuMicros[group]).filter((micros) => typeof micros === "number");
    cpuMicros[group] = known.length === 0 ? null : median(known);
  }
  return {
    subject,
    perSecond: median(perSecondOf(results)),
    p50Ms: median(results.map((result) => result.p50Ms)),
    p99Ms: median(results.map((result) => result.p99Ms)),
    cpuMicros,
    calls: results.reduce((sum, result) => sum + result.calls, 0),
    failures: sumFailures(results),
    samples: results.flatMap((result) => result.samples).slice(0, 10),
  };
}

function sumFailures(results: readonly LoadResult[]): Record<Failure, number> {
  const sum: Record<Failure, number> = { cut: 0, unanswered: 0, late: 0, refused: 0, wrong: 0 };
  for (const { failures } of results) {
    for (const failure of Object.keys(sum) as Failure[]) sum[failure] += failures[failure];
  }
  return sum;
}
