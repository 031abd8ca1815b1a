import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Bench } from "./bench.ts";
import type { Children } from "./children.ts";
import { Load } from "./load.ts";
import { type Machine, machine, spreadInWords } from "./report.ts";
import { checkSessions, type RoundsOptions, runOn } from "./rounds.ts";
import { ratios, type Spread, spread } from "./statistics.ts";
import { type Subject, startDirect } from "./subjects/start.ts";

export interface GeneratorOptions extends RoundsOptions {
  /** How many calls are under way at a time; one comparison for each. */
  readonly connections: readonly number[];
}

export interface GeneratorComparison {
  readonly connections: number;
  /** Calls per second: medians of the rounds. */
  readonly ours: number;
  readonly wrk: number | null;
  readonly ratio: Spread | null;
  /** How much of a core each side used while our load ran, from 0 to 1; null where it can't be known. */
  readonly busy: { readonly load: number | null; readonly target: number | null };
}

export interface GeneratorReport {
  readonly bench: "generator";
  readonly machine: Machine;
  readonly options: GeneratorOptions;
  readonly comparisons: readonly GeneratorComparison[];
}

/**
 * Shows whether the load generator is the bottleneck: on Node's http alone, the fastest thing that the bench measures,
 * against wrk, which is written in C and checks nothing.
 */
export const generatorBench: Bench<GeneratorOptions, GeneratorReport> = {
  run: benchGenerator,
  describe: describeGenerator,
  isGood: () => true,
};

async function benchGenerator(children: Children, options: GeneratorOptions): Promise<GeneratorReport> {
  checkSessions(options, options.connections);
  const load = new Load(children);
  const floor = await startDirect(children, "floor", "Node http");
  const script = join(await children.makeFolder(), "echo.lua");
  await writeFile(script, wrkScript);
  const comparisons: GeneratorComparison[] = [];
  for (const connections of options.connections) {
    comparisons.push(await compareWithWrk(children, load, floor, script, connections, options));
  }
  return { bench: "generator", machine: machine(), options, comparisons };
}

async function compareWithWrk(
  children: Children,
  load: Load,
  floor: Subject,
  script: string,
  connections: number,
  options: GeneratorOptions,
): Promise<GeneratorComparison> {
  const ours: number[] = [];
  const wrk: number[] = [];
  const busyLoad: number[] = [];
  const busyTarget: number[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    const result = await runOn(load, floor, connections, options);
    const perSecond = result.calls / result.seconds;
    ours.push(perSecond);
    const { load: loadMicros = null, node: nodeMicros = null } = result.cpuMicros;
    if (loadMicros !== null) busyLoad.push((loadMicros * perSecond) / 1e6);
    if (nodeMicros !== null) busyTarget.push((nodeMicros * perSecond) / 1e6);
    if (wrkIsThere()) wrk.push(await runWrk(children, floor.url, script, connections, options.seconds));
  }
  const compared = wrk.length > 0;
  return {
    connections,
    ours: spread(ours).median,
    wrk: compared ? spread(wrk).median : null,
    ratio: compared ? spread(ratios(ours, wrk)) : null,
    busy: {
      load: busyLoad.length > 0 ? spread(busyLoad).median : null,
      target: busyTarget.length > 0 ? spread(busyTarget).median : null,
    },
  };
}

function describeGenerator({ comparisons }: GeneratorReport): string {
  return comparisons.map(describeOne).join("\n");
}

function describeOne({ connections, ours, wrk, ratio, busy }: GeneratorComparison): string {
  const share = (value: number | null): string => (value === null ? "-" : `${(value * 100).toFixed(0)} %`);
  const against =
    wrk === null || ratio === null
      ? "wrk: not run, it is not on the PATH (Debian: apt-get install wrk)"
      : `wrk ${wrk.toFixed(0)} calls/s, ours / wrk ${spreadInWords(ratio, 2)}`;
  return `c=${connections}: ours ${ours.toFixed(0)} calls/s, using ${share(busy.load)} of a core while the target used ${share(busy.target)}; ${against}`;
}

/** The same request as ours: its headers, and the call that is the same each time. */
const wrkScript = `wrk.method = "POST"
wrk.body = [[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"the same text in each call"}}}]]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["Mcp-Session-Id"] = "the-floor-has-no-sessions"
wrk.headers["Mcp-Protocol-Version"] = "2025-11-25"
`;

function wrkIsThere(): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, "wrk")));
}

async function runWrk(
  children: Children,
  url: string,
  script: string,
  connections: number,
  seconds: number,
): Promise<number> {
  const wholeSeconds = Math.max(1, Math.round(seconds));
  const lines: string[] = [];
  const wrk = await children.start({
    name: "wrk",
    command: "wrk",
    args: ["-t1", `-c${connections}`, `-d${wholeSeconds}s`, "-s", script, url],
    onLine: (line) => lines.push(line),
  });
  await wrk.exited;
  const output = lines.join("\n");
  const perSecond = /Requests\/sec:\s+([\d.]+)/.exec(output)?.[1];
  if (perSecond === undefined || output.includes("Non-2xx")) throw new Error(`wrk failed: ${output}`);
  return Number(perSecond);
}
