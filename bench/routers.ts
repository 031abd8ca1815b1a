import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterView, EdgeNode } from "../src/edge/view.ts";
import { tagOf } from "../src/model/tag.ts";
import type { Children } from "./children.ts";
import { cpuMicrosOf, residentMbOf } from "./load/cpu-time.ts";
import type { LoadResult } from "./load/plan.ts";
import type { Load } from "./load.ts";
import { spreadInWords, table } from "./report.ts";
import { type RoundsOptions, runOn } from "./rounds.ts";
import { ratios, type Spread, spread } from "./statistics.ts";
import { type Edge, startEdge } from "./subjects/edge.ts";
import { type LiveNode, startLiveNodes } from "./subjects/mooring-cluster.ts";

export interface RoutersOptions extends RoundsOptions {
  readonly connections: number;
  readonly routers: readonly number[];
}

/**
 * What the pins beyond those of the live nodes belong to. nodes: nodes that drain, each with its own service and health
 * check. inherited: tags of nodes that are gone, which lead to the live ones and are not checked.
 */
export type PinsOf = "nodes" | "inherited";

interface Case {
  readonly routers: number;
  readonly of: PinsOf;
}

/** Calls through one Traefik: medians of the rounds, and ratios to the first case in the same round. */
export interface RoutersLoad {
  readonly connections: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  /** Microseconds a call. With what the health checks take meanwhile. */
  readonly traefikMicros: number | null;
  readonly p50Ratio: Spread;
  readonly cpuRatio: Spread | null;
}

export interface RoutersCase extends Case {
  readonly loads: readonly RoutersLoad[];
  /** After the calls. */
  readonly residentMb: number | null;
  /** What Traefik takes of one core when no calls come: the health checks. */
  readonly idleShare: number | null;
  /** From writing a view with one pin more to the first request that goes by it. */
  readonly changeMs: Spread;
  readonly failed: number;
}

export type RoutersReport = readonly RoutersCase[];

interface Round {
  readonly results: readonly LoadResult[];
  readonly residentMb: number | null;
  readonly idleShare: number | null;
  readonly changeMs: number;
}

const idleMs = 2_000;
const changeDeadlineMs = 10_000;

/**
 * The same three nodes behind a Traefik with few pin routers, and with many. Each measurement has a Traefik of its own,
 * so that none is measured while the checks of another run.
 */
export async function benchRouters(children: Children, load: Load, options: RoutersOptions): Promise<RoutersReport> {
  const nodes = await startLiveNodes(children);
  const cases = options.routers.flatMap((routers): Case[] => [
    { routers, of: "nodes" },
    ...(routers > nodes.length ? [{ routers, of: "inherited" } as const] : []),
  ]);
  const levels = [...new Set([1, options.connections])];
  const rounds = cases.map((): Round[] => []);
  // Thrown away: nodes that were never called before would make the first case, which the others are compared with, slow.
  await measure(children, load, nodes, cases[0] as Case, levels, options);
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const [index, one] of cases.entries()) {
      const measured = await measure(children, load, nodes, one, levels, options);
      rounds[index]?.push(measured);
      const perSecond = measured.results.map(({ calls, seconds }) => Math.round(calls / seconds)).join(", ");
      process.stderr.write(`round ${round}/${options.rounds} ${nameOf(one)}: ${perSecond} calls/s\n`);
    }
  }
  const base = rounds[0] as readonly Round[];
  return cases.map((one, index) => summarize(one, rounds[index] as readonly Round[], base, levels));
}

async function measure(
  children: Children,
  load: Load,
  nodes: readonly LiveNode[],
  one: Case,
  levels: readonly number[],
  options: RoutersOptions,
): Promise<Round> {
  const view = viewWith(nodes, one);
  const started = await startEdge(children, view, ["session-id", "cookie"]);
  const { pid } = started.edge.process;
  try {
    const idleShare = await idleShareOf(pid);
    const results: LoadResult[] = [];
    const subject = { url: started.url, same: false, processes: { traefik: [pid] } };
    for (const connections of levels) results.push(await runOn(load, subject, connections, options));
    const residentMb = residentMbOf(pid);
    return { results, residentMb, idleShare, changeMs: await changeMs(started, view) };
  } finally {
    await started.edge.process.stop(10_000);
  }
}

/** The live nodes, and pins up to the number wanted. Those lead to live addresses too, but no session has their tags. */
function viewWith(nodes: readonly LiveNode[], { routers, of }: Case): ClusterView {
  const live = nodes.map(({ name, tag, url }): EdgeNode => ({ name, tag, url, state: "up" }));
  const names = Array.from({ length: routers - live.length }, (_, index) => `pinned-${index}`);
  const nodeFor = (index: number): EdgeNode => live[index % live.length] as EdgeNode;
  switch (of) {
    case "nodes": {
      const others = names.map(
        (name, index): EdgeNode => ({ name, tag: tagOf(name), url: nodeFor(index).url, state: "draining" }),
      );
      return { nodes: [...live, ...others] };
    }
    case "inherited":
      return {
        nodes: live.map((node) => ({
          ...node,
          inherits: names.filter((_, index) => nodeFor(index) === node).map(tagOf),
        })),
      };
  }
}

async function idleShareOf(pid: number): Promise<number | null> {
  const [before, began] = [cpuMicrosOf([pid]), performance.now()];
  await sleep(idleMs);
  const after = cpuMicrosOf([pid]);
  return before === null || after === null ? null : (after - before) / 1_000 / (performance.now() - began);
}

/** Traefik sets its cookie where it does not know the session's tag: it is gone as soon as the new pin is in effect. */
async function changeMs({ url, edge }: Edge, view: ClusterView): Promise<number> {
  const tag = tagOf("one more");
  const [first, ...others] = view.nodes as readonly [EdgeNode, ...EdgeNode[]];
  const pinned = async (): Promise<boolean> => {
    const headers = { "Mcp-Session-Id": `${tag}.nobody` };
    const response = await fetch(url, { method: "DELETE", headers, signal: AbortSignal.timeout(changeDeadlineMs) });
    await response.arrayBuffer();
    return response.headers.getSetCookie().length === 0;
  };
  if (await pinned()) throw new Error("Traefik sent a request by a pin that it was not told of.");
  const began = performance.now();
  const published = edge.publish({
    nodes: [{ ...first, inherits: [...(first.inherits ?? []), tag] }, ...others],
  });
  while (!(await pinned())) {
    if (performance.now() - began > changeDeadlineMs) {
      throw new Error(`Traefik did not take a view up within ${changeDeadlineMs / 1_000} s.`);
    }
  }
  const took = performance.now() - began;
  await published;
  return took;
}

function summarize(
  one: Case,
  rounds: readonly Round[],
  base: readonly Round[],
  levels: readonly number[],
): RoutersCase {
  const resultsAt = (of: readonly Round[], level: number) => of.map(({ results }) => results[level] as LoadResult);
  const loads = levels.map((connections, level): RoutersLoad => {
    const [ours, first] = [resultsAt(rounds, level), resultsAt(base, level)];
    const [cpu, firstCpu] = [ours, first].map((results) => known(results.map(({ cpuMicros }) => cpuMicros.traefik)));
    return {
      connections,
      perSecond: spread(ours.map(({ calls, seconds }) => calls / seconds)).median,
      p50Ms: spread(ours.map(({ p50Ms }) => p50Ms)).median,
      traefikMicros: cpu === undefined ? null : spread(cpu).median,
      p50Ratio: spread(
        ratios(
          ours.map(({ p50Ms }) => p50Ms),
          first.map(({ p50Ms }) => p50Ms),
        ),
      ),
      cpuRatio: cpu === undefined || firstCpu === undefined ? null : spread(ratios(cpu, firstCpu)),
    };
  });
  const medianOf = (values: readonly (number | null)[]): number | null => {
    const all = known(values);
    return all === undefined ? null : spread(all).median;
  };
  const failures = rounds.flatMap(({ results }) => results.flatMap((result) => Object.values(result.failures)));
  return {
    ...one,
    loads,
    residentMb: medianOf(rounds.map(({ residentMb }) => residentMb)),
    idleShare: medianOf(rounds.map(({ idleShare }) => idleShare)),
    changeMs: spread(rounds.map((round) => round.changeMs)),
    failed: failures.reduce((sum, count) => sum + count, 0),
  };
}

/** The values, or undefined when one of them could not be taken. */
function known(values: readonly (number | null | undefined)[]): number[] | undefined {
  const numbers = values.filter((value) => typeof value === "number");
  return numbers.length === values.length ? numbers : undefined;
}

function nameOf({ routers, of }: Case): string {
  return of === "nodes" ? `${routers} pins of nodes` : `${routers} pins, the most inherited`;
}

export function routersAnsweredRightly(report: RoutersReport): boolean {
  return report.every(({ failed }) => failed === 0);
}

export function describeRouters(report: RoutersReport): string {
  const levels = report[0]?.loads.map(({ connections }) => connections) ?? [];
  const ratioInWords = (ratio: Spread | null): string => (ratio === null ? "-" : spreadInWords(ratio, 2));
  const tables = levels.map((connections, level) =>
    table([
      [`c=${connections}`, "calls/s", "p50 ms", "ratio", "µs CPU Traefik", "ratio"],
      ...report.map((one) => {
        const { perSecond, p50Ms, traefikMicros, p50Ratio, cpuRatio } = one.loads[level] as RoutersLoad;
        return [
          nameOf(one),
          perSecond.toFixed(0),
          p50Ms.toFixed(3),
          ratioInWords(p50Ratio),
          traefikMicros?.toFixed(0) ?? "-",
          ratioInWords(cpuRatio),
        ];
      }),
    ]),
  );
  const rest = table([
    ["Traefik", "RSS MB", "% of a core, idle", "ms to a view's effect", "calls failed"],
    ...report.map((one) => [
      nameOf(one),
      one.residentMb?.toFixed(0) ?? "-",
      one.idleShare === null ? "-" : (one.idleShare * 100).toFixed(1),
      spreadInWords(one.changeMs, 0),
      String(one.failed),
    ]),
  ]);
  return [...tables, rest].join("\n\n");
}
