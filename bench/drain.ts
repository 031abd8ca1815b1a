import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { Callers } from "./callers.ts";
import type { Children } from "./children.ts";
import { type Machine, machine, met, table } from "./report.ts";
import { type Percentiles, percentiles } from "./statistics.ts";
import { startRegistry } from "./subjects/valkey.ts";
import { startWatched, type WatchedNode, type Worst, worstOf } from "./watched-node.ts";

export interface DrainOptions {
  readonly sessions: number;
  /** Of all sessions together. */
  readonly callsPerSecond: number;
  /** For how long the same is measured before, with nothing that moves. */
  readonly calmSeconds: number;
}

/** What clients and nodes felt while sessions moved, or did not. */
export interface Passage {
  readonly name: "nothing moves" | "the node drains" | "sessions go home";
  readonly seconds: number;
  /** Sessions that moved. */
  readonly moved: number;
  /** Milliseconds. */
  readonly calls: Percentiles;
  readonly failed: number;
  readonly samples: readonly string[];
  /** The nodes that took sessions, together: the worst of any of them. */
  readonly takers: Worst;
}

export interface DrainReport {
  readonly bench: "drain";
  readonly machine: Machine;
  readonly options: DrainOptions;
  readonly passages: readonly Passage[];
}

const aims = { p99Ms: 250, maxMs: 2_000, delayMs: 50 };
const passageDeadlineMs = 120_000;
const lookEveryMs = 20;
/** Calls under way at its end belong to a passage, and the watch tells of the second that is over. */
const afterMs = 1_200;

/** One node of three hands all its sessions over while they call, and gets them back. */
export const drainBench: Bench<DrainOptions, DrainReport> = {
  run: benchDrain,
  describe: describeDrain,
  isGood: ({ passages }) => passages.every(({ failed }) => failed === 0),
};

async function benchDrain(children: Children, options: DrainOptions): Promise<DrainReport> {
  const valkey = await startRegistry(children);
  const start = (name: string, onLog: (line: string) => void = () => {}): Promise<WatchedNode> =>
    startWatched(children, {
      name,
      redis: valkey.url,
      options: ["--peer-direct", "true", "--admin", "127.0.0.1:0"],
      onLog,
    });
  let taken = 0;
  let handedOver = 0;
  const draining = await start("draining", (line) => {
    if (line.includes('"session-handed-over"')) handedOver += 1;
    else if (line.includes('"session-taken"')) taken += 1;
  });
  const takers = await Promise.all([start("one"), start("other")]);
  const state = (method: "POST" | "DELETE") => fetch(`${draining.admin}/api/nodes/draining/drain`, { method });

  const callers = new Callers(children);
  const { sessions, callsPerSecond, calmSeconds } = options;
  process.stderr.write(`${sessions} sessions begin at one node of three …\n`);
  await callers.begin(`${draining.url}/mcp`, sessions, callsPerSecond);
  // What every process does for the first time.
  await sleep(calmSeconds * 1_000);

  const passage = async (name: Passage["name"], nodes: readonly WatchedNode[], act: () => Promise<number>) => {
    process.stderr.write(`${name} …\n`);
    await callers.calls();
    const from = nodes.map(({ seconds }) => seconds.length);
    const began = performance.now();
    const moved = await act();
    const seconds = (performance.now() - began) / 1_000;
    await sleep(afterMs);
    const { tookMs, failed, samples } = await callers.calls();
    const worst = worstOf(nodes.flatMap(({ seconds }, index) => seconds.slice(from[index])));
    return { name, seconds, moved, calls: percentiles(tookMs), failed, samples, takers: worst };
  };
  const passages = [
    await passage("nothing moves", takers, async () => {
      await sleep(calmSeconds * 1_000);
      return 0;
    }),
    await passage("the node drains", takers, async () => {
      await state("POST");
      await reaches(() => handedOver, sessions);
      return handedOver;
    }),
    await passage("sessions go home", [draining], async () => {
      await state("DELETE");
      await reaches(() => taken, sessions);
      return taken;
    }),
  ];
  return { bench: "drain", machine: machine(), options, passages };
}

async function reaches(count: () => number, wanted: number): Promise<void> {
  const end = performance.now() + passageDeadlineMs;
  while (count() < wanted) {
    if (performance.now() > end) {
      throw new Error(`only ${count()} of ${wanted} sessions moved within ${passageDeadlineMs / 1_000} s`);
    }
    await sleep(lookEveryMs);
  }
}

function describeDrain({ options, passages }: DrainReport): string {
  const ms = (value: number | null) => (value === null ? "-" : value.toFixed(1));
  const { sessions, callsPerSecond } = options;
  const calls = table([
    [
      `${sessions} sessions, ${callsPerSecond} calls a second`,
      "s",
      "moved",
      "calls",
      "p50 ms",
      "p99 ms",
      "max ms",
      "failed",
    ],
    ...passages.map(({ name, seconds, moved, calls: { count, p50, p99, max }, failed }) => [
      name,
      seconds.toFixed(1),
      String(moved),
      String(count),
      ...[p50, p99, max].map(ms),
      String(failed),
    ]),
  ]);
  const loop = table([
    [
      "worst ms of the nodes that take sessions",
      "event-loop delay",
      "usual second",
      "CPU at a stretch besides GC",
      "GC pause",
    ],
    ...passages.map(({ name, takers: { delayMs, usualDelayMs, cpuBesidesGcMs, gcMs } }) => [
      name,
      ...[delayMs, usualDelayMs, cpuBesidesGcMs, gcMs].map(ms),
    ]),
  ]);
  const verdicts = passages
    .slice(1)
    .flatMap(({ name, calls: { p99, max }, takers: { delayMs }, samples }) => [
      `${name}: calls at p99 ${ms(p99)} ms, aim < ${aims.p99Ms}: ${met(p99 < aims.p99Ms)}; the slowest ${ms(max)} ms, aim <= ${aims.maxMs}: ${met(max <= aims.maxMs)}; event-loop delay ${ms(delayMs)} ms, aim < ${aims.delayMs}: ${met(delayMs < aims.delayMs)}`,
      ...samples.map((sample) => `  failed: ${sample}`),
    ]);
  return [calls, loop, verdicts.join("\n")].join("\n\n");
}
