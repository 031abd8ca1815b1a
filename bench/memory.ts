import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Bench } from "./bench.ts";
import type { Children } from "./children.ts";
import { Holder } from "./holder.ts";
import type { Held } from "./load/holder.ts";
import { type Machine, machine, met, table } from "./report.ts";
import type { ProcessSecond } from "./subjects/process-watch.ts";
import { startRegistry } from "./subjects/valkey.ts";
import { startWatched, type Worst, worstOf } from "./watched-node.ts";

/** Where a node's registry is. */
export type RegistryKind = "valkey" | "memory";

export interface MemoryOptions {
  readonly sessions: number;
  readonly warmupSessions: number;
  readonly perSecond: number;
  readonly idleSeconds: number;
  readonly registries: readonly RegistryKind[];
}

/** What one session more costs the process: KiB. */
export interface PerSession {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

export interface MemoryCase {
  readonly registry: RegistryKind;
  /** When the last session was just opened, and when they had been idle. */
  readonly opened: PerSession;
  readonly idle: PerSession;
  /** Over the idle time: the node, and a node beside it that holds no session. */
  readonly worst: Worst;
  readonly control: Worst;
  readonly openSeconds: number;
  readonly held: Held;
}

export interface MemoryReport {
  readonly bench: "memory";
  readonly machine: Machine;
  readonly options: MemoryOptions;
  readonly cases: readonly MemoryCase[];
}

const aims = { rssKib: 55, delayMs: 10 };

const module = fileURLToPath(new URL("subjects/ten-tools.ts", import.meta.url));
/** For what the node still has to do when the last session is open; and the watch tells of the second that is over. */
const settleMs = 2_500;
/** The node's own files and sockets, besides those of sessions. */
const otherFiles = 200;

/** One node that holds many idle sessions, each with its stream open. */
export const memoryBench: Bench<MemoryOptions, MemoryReport> = {
  run: benchMemory,
  describe: describeMemory,
  isGood: ({ cases }) => cases.every(({ held }) => held.ended === 0),
};

async function benchMemory(children: Children, options: MemoryOptions): Promise<MemoryReport> {
  checkFileLimit(options.sessions + options.warmupSessions);
  const cases: MemoryCase[] = [];
  for (const registry of options.registries) cases.push(await measure(children, registry, options));
  return { bench: "memory", machine: machine(), options, cases };
}

async function measure(
  children: Children,
  registry: RegistryKind,
  { sessions, warmupSessions, perSecond, idleSeconds }: MemoryOptions,
): Promise<MemoryCase> {
  const redis = registry === "valkey" ? (await startRegistry(children)).url : undefined;
  const node = await startWatched(children, { name: "bench", module, ...(redis === undefined ? {} : { redis }) });
  const control = await startWatched(children, { name: "control", module });
  const holder = new Holder(children);

  await holder.open(`${node.url}/mcp`, warmupSessions, perSecond, ["search", "read"]);
  await sleep(settleMs);
  const before = node.seconds.at(-1) as ProcessSecond;

  say(registry, `${sessions} sessions open at ${perSecond} a second …`);
  const began = performance.now();
  await holder.open(`${node.url}/mcp`, sessions, perSecond);
  const openSeconds = (performance.now() - began) / 1_000;
  const opened = perSession(before, node.seconds.at(-1) as ProcessSecond, sessions);

  await sleep(settleMs);
  await holder.count();
  say(registry, `${opened.rss.toFixed(1)} KiB RSS each; now idle for ${idleSeconds} s …`);
  const from = [node.seconds.length, control.seconds.length] as const;
  await sleep(idleSeconds * 1_000);
  const idle = perSession(before, node.seconds.at(-1) as ProcessSecond, sessions);
  const held = await holder.count();
  const result: MemoryCase = {
    registry,
    opened,
    idle,
    worst: worstOf(node.seconds.slice(from[0])),
    control: worstOf(control.seconds.slice(from[1])),
    openSeconds,
    held,
  };
  holder.end();
  await Promise.all([node.stop(), control.stop()]);
  return result;
}

function perSession(before: ProcessSecond, after: ProcessSecond, sessions: number): PerSession {
  const kib = (pick: (second: ProcessSecond) => number) => (pick(after) - pick(before)) / 1_024 / sessions;
  return {
    rss: kib(({ rssBytes }) => rssBytes),
    heap: kib(({ heapBytes }) => heapBytes),
    external: kib(({ externalBytes }) => externalBytes),
  };
}

/** Node takes the hard limit by itself. Both sides of a connection are in processes with the same limit. */
function checkFileLimit(sessions: number): void {
  const { open_files: files } = (
    process.report.getReport() as { userLimits: { open_files: { hard: number | string } } }
  ).userLimits;
  if (typeof files.hard === "number" && files.hard < sessions + otherFiles) {
    throw new Error(
      `${sessions} sessions need ${sessions + otherFiles} open files in one process, and the limit is ${files.hard}. Raise it (ulimit -Hn), or lower --sessions.`,
    );
  }
}

function say(registry: RegistryKind, text: string): void {
  process.stderr.write(`${registryInWords(registry)}: ${text}\n`);
}

function registryInWords(registry: RegistryKind): string {
  return registry === "valkey" ? "registry in Valkey" : "registry in memory";
}

function describeMemory({ options, cases }: MemoryReport): string {
  const kib = (value: number) => value.toFixed(1);
  const ms = (value: number | null) => (value === null ? "-" : value.toFixed(1));
  const figures = ({ delayMs, delayBesidesGcMs, usualDelayMs, cpuBesidesGcMs, gcMs }: Worst) =>
    [delayMs, delayBesidesGcMs, usualDelayMs, cpuBesidesGcMs, gcMs].map(ms);
  const memory = table([
    [`KiB a session, of ${options.sessions}`, "RSS", "RSS, just opened", "heap", "outside the heap"],
    ...cases.map(({ registry, opened, idle }) => [
      registryInWords(registry),
      kib(idle.rss),
      kib(opened.rss),
      kib(idle.heap),
      kib(idle.external),
    ]),
  ]);
  const loop = table([
    [
      `worst ms in ${options.idleSeconds} s idle`,
      "event-loop delay",
      "besides GC",
      "usual second",
      "CPU at a stretch besides GC",
      "GC pause",
    ],
    ...cases.flatMap(({ registry, worst, control }) => [
      [registryInWords(registry), ...figures(worst)],
      ["  a node without sessions", ...figures(control)],
    ]),
  ]);
  return [memory, loop, cases.map(verdictOf).join("\n")].join("\n\n");
}

function verdictOf({ registry, idle, worst, held }: MemoryCase): string {
  const heldUpMs = worst.cpuBesidesGcMs ?? worst.delayBesidesGcMs;
  const streams =
    held.ended === 0
      ? `all ${held.streams} streams held`
      : `${held.ended} of ${held.streams} streams ended: ${held.why}`;
  return [
    `${registryInWords(registry)}: ${streams}, each kept alive at least ${held.leastKeepAlives} times`,
    `  RSS a session ${idle.rss.toFixed(1)} KiB, aim <= ${aims.rssKib}: ${met(idle.rss <= aims.rssKib)}`,
    `  keep-alives hold the event loop up for ${heldUpMs.toFixed(1)} ms, aim < ${aims.delayMs}: ${met(heldUpMs < aims.delayMs)}`,
  ].join("\n");
}
