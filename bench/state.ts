import type { Bench } from "./bench.ts";
import type { Children } from "./children.ts";
import { Load } from "./load.ts";
import { describe, type Machine, machine, met, noneFailed, table } from "./report.ts";
import {
  type Comparison,
  checkSessions,
  compared,
  measure,
  type RoundsOptions,
  type Run,
  resultsOf,
} from "./rounds.ts";
import { type CountedCalls, countCommands } from "./state-commands.ts";
import { type Spread, spread } from "./statistics.ts";
import { startNode } from "./subjects/node.ts";
import type { Subject } from "./subjects/start.ts";
import { startRegistry } from "./subjects/valkey.ts";

export interface StateOptions extends RoundsOptions {
  /** How many calls are under way at a time; one comparison for each. */
  readonly connections: readonly number[];
  /** For how many calls of each kind the commands that they cost are counted; 0 for none. */
  readonly counted: number;
}

/** What a call takes longer at p50 because it changes state: milliseconds, over the rounds' pairs. */
export interface Added extends Spread {
  readonly connections: number;
}

export interface StateReport {
  readonly bench: "state";
  readonly machine: Machine;
  readonly options: StateOptions;
  readonly comparisons: readonly Comparison[];
  readonly added: readonly Added[];
  readonly commands: readonly CountedCalls[];
}

const aims = { addedMs: 0.3, keptShare: 0.9 };

const names = {
  unchanged: "echo",
  changed: "count",
  unkept: "echo, --policy reject",
} as const;

/** Calls that change a session's state beside calls that change nothing, and these beside a node that keeps nothing. */
export const stateBench: Bench<StateOptions, StateReport> = {
  run: benchState,
  describe: describeState,
  isGood: ({ comparisons }) =>
    comparisons.every(({ summaries }) => summaries.every(({ failures }) => noneFailed(failures))),
};

async function benchState(children: Children, options: StateOptions): Promise<StateReport> {
  checkSessions(options, options.connections);
  const load = new Load(children);
  const valkey = await startRegistry(children);
  const keeping = await startNode(children, {
    name: "keeping",
    redis: valkey.url,
    options: ["--namespace", "keeping"],
  });
  const rejecting = await startNode(children, {
    name: "rejecting",
    redis: valkey.url,
    options: ["--namespace", "rejecting", "--policy", "reject"],
  });
  const on = (name: string, { url, pid }: typeof keeping): Subject => ({
    name,
    url: `${url}/mcp`,
    same: false,
    processes: { node: [pid], valkey: [valkey.pid] },
  });
  const subjects: readonly Subject[] = [
    on(names.unchanged, keeping),
    { ...on(names.changed, keeping), tool: "count" },
    on(names.unkept, rejecting),
  ];
  const comparisons: Comparison[] = [];
  const added: Added[] = [];
  for (const connections of options.connections) {
    const runs = await measure(load, subjects, connections, options);
    comparisons.push(compared(subjects, connections, runs, { [names.unkept]: aims.keptShare }));
    added.push({ connections, ...spread(addedMs(runs)) });
  }
  const commands = options.counted === 0 ? [] : await countCommands(children, options.counted);
  return { bench: "state", machine: machine(), options, comparisons, added, commands };
}

function addedMs(runs: readonly Run[]): number[] {
  const unchanged = resultsOf(runs, names.unchanged);
  return resultsOf(runs, names.changed).map(({ p50Ms }, round) => p50Ms - (unchanged[round]?.p50Ms ?? Number.NaN));
}

function describeState({ comparisons, added, commands }: StateReport): string {
  const parts = [...comparisons.map(describe), added.map(addedInWords).join("\n")];
  if (commands.length > 0) {
    parts.push(
      table([
        ["Redis", "calls", "commands", "which"],
        ...commands.map(({ tool, calls, commands: total, byName }) => [
          tool,
          String(calls),
          String(total),
          Object.entries(byName)
            .map(([name, count]) => `${count} ${name}`)
            .join(", ") || "none",
        ]),
      ]),
    );
    const echo = commands.find(({ tool }) => tool === "echo");
    if (echo !== undefined) {
      parts.push(`commands of calls that change nothing: ${echo.commands}, aim 0: ${met(echo.commands === 0)}`);
    }
  }
  return parts.join("\n\n");
}

function addedInWords({ connections, median, min, max }: Added): string {
  return `a change of state adds ${median.toFixed(3)} ms at p50, c=${connections} (${min.toFixed(3)} to ${max.toFixed(3)}); aim <= ${aims.addedMs}: ${met(median <= aims.addedMs)}`;
}
