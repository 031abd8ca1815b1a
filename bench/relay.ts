import type { Bench } from "./bench.ts";
import type { Children } from "./children.ts";
import { Load } from "./load.ts";
import { describe, type Machine, machine, met, rightlyAnswered } from "./report.ts";
import { type Comparison, checkSessions, compare, type RoundsOptions } from "./rounds.ts";
import { startRelayPair } from "./subjects/mooring-cluster.ts";

export interface RelayOptions extends RoundsOptions {
  /** How many calls are under way at a time; one comparison for each. */
  readonly connections: readonly number[];
}

export interface RelayReport {
  readonly bench: "relay";
  readonly machine: Machine;
  readonly options: RelayOptions;
  readonly comparisons: readonly Comparison[];
  /** What a relay adds to a call at p50 and c=1, in milliseconds; null when that was not measured. */
  readonly addedMs: number | null;
}

const aimMs = 0.2;
/** The share of a direct hit's calls that should at least be left when every call is misrouted, by calls under way. */
const aims: Readonly<Record<number, number>> = { 16: 0.6 };

/** Every call relayed, against every call reaching its session's owner. */
export const relayBench: Bench<RelayOptions, RelayReport> = {
  run: benchRelay,
  describe: describeRelay,
  isGood: ({ comparisons }) => comparisons.every(rightlyAnswered),
};

async function benchRelay(children: Children, options: RelayOptions): Promise<RelayReport> {
  checkSessions(options, options.connections);
  const load = new Load(children);
  const { direct, relayed } = await startRelayPair(children);
  const comparisons: Comparison[] = [];
  for (const connections of options.connections) {
    const aim = aims[connections];
    const wanted = aim === undefined ? {} : { [direct.name]: aim };
    comparisons.push(await compare(load, [relayed, direct], connections, options, wanted));
  }
  return { bench: "relay", machine: machine(), options, comparisons, addedMs: addedMs(comparisons) };
}

function addedMs(comparisons: readonly Comparison[]): number | null {
  const [relayed, direct] = comparisons.find(({ connections }) => connections === 1)?.summaries ?? [];
  return relayed === undefined || direct === undefined ? null : relayed.p50Ms - direct.p50Ms;
}

function describeRelay({ comparisons, addedMs: added }: RelayReport): string {
  const parts = comparisons.map(describe);
  if (added !== null) {
    parts.push(`a relay adds ${added.toFixed(3)} ms at p50, c=1; aim <= ${aimMs}: ${met(added <= aimMs)}`);
  }
  return parts.join("\n\n");
}
