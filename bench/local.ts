import { basename } from "node:path";
import type { Bench } from "./bench.ts";
import type { Children } from "./children.ts";
import { Load } from "./load.ts";
import { describe, type Machine, machine, rightlyAnswered } from "./report.ts";
import { type Comparison, checkSessions, compare, type RoundsOptions } from "./rounds.ts";
import { startDirect } from "./subjects/start.ts";

export interface LocalOptions extends RoundsOptions {
  /** How many calls are under way at a time; one comparison for each. */
  readonly connections: readonly number[];
  /** Folders of other Moorings, such as the one before a change, which are measured in the same rounds. */
  readonly against: readonly string[];
}

export interface LocalReport {
  readonly bench: "local";
  readonly machine: Machine;
  readonly options: LocalOptions;
  readonly comparisons: readonly Comparison[];
}

const sdkName = "SDK v2";

/** What the ratio to the SDK should at least be, by calls under way. */
const aims: Readonly<Record<number, number>> = { 1: 2, 16: 3 };

/** One node of Mooring, the SDK on its own Node adapter, and Node's http alone, without anything between. */
export const localBench: Bench<LocalOptions, LocalReport> = {
  run: benchLocal,
  describe: describeLocal,
  isGood: ({ comparisons }) => comparisons.every(rightlyAnswered),
};

async function benchLocal(children: Children, options: LocalOptions): Promise<LocalReport> {
  checkSessions(options, options.connections);
  const load = new Load(children);
  const subjects = [
    await startDirect(children, "mooring", "Mooring"),
    await startDirect(children, "sdk", sdkName),
    await startDirect(children, "floor", "Node http"),
  ];
  for (const tree of options.against) {
    subjects.push(await startDirect(children, "mooring", basename(tree), { name: basename(tree), tree }));
  }
  const comparisons: Comparison[] = [];
  for (const connections of options.connections) {
    const aim = aims[connections];
    comparisons.push(await compare(load, subjects, connections, options, aim === undefined ? {} : { [sdkName]: aim }));
  }
  return { bench: "local", machine: machine(), options, comparisons };
}

function describeLocal(report: LocalReport): string {
  return report.comparisons.map(describe).join("\n\n");
}
