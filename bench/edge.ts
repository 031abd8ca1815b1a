import type { Bench } from "./bench.ts";
import type { Children } from "./children.ts";
import type { LoadProgress, LoadResult } from "./load/plan.ts";
import { Load } from "./load.ts";
import { describe, failuresInWords, type Machine, machine, met, noneFailed, rightlyAnswered } from "./report.ts";
import { type Comparison, checkSessions, compare, type RoundsOptions } from "./rounds.ts";
import { benchRouters, describeRouters, type RoutersReport, routersAnsweredRightly } from "./routers.ts";
import { startMooringCluster } from "./subjects/mooring-cluster.ts";
import { startSdkCluster } from "./subjects/sdk-cluster.ts";
import type { Subject } from "./subjects/start.ts";

export interface EdgeOptions extends RoundsOptions {
  readonly connections: number;
  /** So many calls through Mooring's edge after the comparison, to find answers that are cut; 0 for none. */
  readonly calls: number;
  /** When those calls end at the latest. */
  readonly limitMinutes: number;
  /** Numbers of pin routers to measure Traefik with, instead of the comparison; none for the comparison. */
  readonly routers: readonly number[];
}

/** Many calls in a row, each answer looked at. */
export interface Endurance {
  readonly asked: number;
  readonly result: LoadResult;
}

export interface EdgeReport {
  readonly bench: "edge";
  readonly machine: Machine;
  readonly options: EdgeOptions;
  /** Null when no rounds were asked for. */
  readonly comparison: Comparison | null;
  readonly endurance: Endurance | null;
  readonly routers: RoutersReport | null;
}

const sdkName = "3 SDK v2 behind Traefik";

/** Three nodes of Mooring through Traefik against three SDK servers behind Traefik's sticky cookie. */
export const edgeBench: Bench<EdgeOptions, EdgeReport> = {
  run: benchEdge,
  describe: describeEdge,
  isGood: ({ comparison, endurance, routers }) =>
    (comparison === null || rightlyAnswered(comparison)) &&
    (endurance === null || (endurance.result.calls === endurance.asked && noneFailed(endurance.result.failures))) &&
    (routers === null || routersAnsweredRightly(routers)),
};

async function benchEdge(children: Children, options: EdgeOptions): Promise<EdgeReport> {
  checkSessions(options, [options.connections]);
  checkRouters(options);
  const load = new Load(children);
  if (options.routers.length > 0) {
    const routers = await benchRouters(children, load, options);
    return { bench: "edge", machine: machine(), options, comparison: null, endurance: null, routers };
  }
  const ours = await startMooringCluster(children, "3 nodes of Mooring through Traefik");
  let comparison: Comparison | null = null;
  if (options.rounds > 0) {
    const sdk = await startSdkCluster(children, sdkName);
    comparison = await compare(load, [ours, sdk], options.connections, options, { [sdkName]: 1.5 });
  }
  const endurance = options.calls > 0 ? await endure(load, ours, options) : null;
  return { bench: "edge", machine: machine(), options, comparison, endurance, routers: null };
}

/** Three of the pins are those of the nodes that serve. */
function checkRouters({ routers, rounds, calls }: EdgeOptions): void {
  if (routers.length === 0) return;
  if (Math.min(...routers) < 3) throw new Error("--routers must be at least 3, one for each node that serves.");
  if (rounds === 0) throw new Error("--routers needs --rounds of at least 1.");
  if (calls > 0) throw new Error("--routers and --calls can't be measured in one run. Leave one out.");
}

async function endure(load: Load, subject: Subject, options: EdgeOptions): Promise<Endurance> {
  const { calls, sessions, connections, limitMinutes } = options;
  const result = await load.run(
    {
      url: subject.url,
      same: subject.same,
      processes: subject.processes,
      sessions,
      connections,
      warmupMs: 0,
      calls,
      limitMs: limitMinutes * 60_000,
    },
    (progress) => process.stderr.write(`${progressInWords(progress, calls)}\n`),
  );
  return { asked: calls, result };
}

function progressInWords({ calls, seconds, failures }: LoadProgress, asked: number): string {
  return `${calls} of ${asked} calls in ${seconds.toFixed(0)} s, failed: ${failuresInWords(failures)}`;
}

function describeEdge({ comparison, endurance, routers }: EdgeReport): string {
  const parts: string[] = [];
  if (comparison !== null) parts.push(describe(comparison));
  if (endurance !== null) parts.push(enduranceInWords(endurance));
  if (routers !== null) parts.push(describeRouters(routers));
  return parts.join("\n\n");
}

function enduranceInWords({ asked, result }: Endurance): string {
  const { calls, seconds, failures, samples } = result;
  return [
    `${calls} of ${asked} calls answered rightly in ${seconds.toFixed(0)} s, failed: ${failuresInWords(failures)}`,
    `cut answers: ${failures.cut}, aim 0: ${met(failures.cut === 0)}`,
    ...samples.map((sample) => `  ${sample}`),
  ].join("\n");
}
