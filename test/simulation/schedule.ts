import { Client } from "./client.ts";
import { type FaultCounts, type FaultKind, Faults, faultKinds } from "./faults.ts";
import { Moments } from "./moments.ts";
import { Network } from "./network.ts";
import { Observer, Violation } from "./observer.ts";
import { Operator } from "./operator.ts";
import { Random } from "./random.ts";
import { homeOf } from "./requests.ts";
import { type Rules, soundRules } from "./rules.ts";
import { Scheduler } from "./scheduler.ts";
import { SimRegistry } from "./sim-registry.ts";
import { times, type World } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  readonly broken: string | undefined;
  readonly counts: Observer["counts"];
}

/** Faults begin when the cluster has, and are mended at this time. */
const faultsFrom = 1_500;
const faultsUntil = 16_000;
/** Within this after the last fault, all drains have ended. */
const operatedAfter = 90_000;
/** Within this after that, every session is served again, and at home. */
const settledAfter = 30_000;
/** How many schedules have drains and restarts only: nothing goes wrong, and nothing may fail. */
const plannedOnly = 0.25;
/** Time for late messages to do what they can. */
const settledFirst = 2.5 * times.lease;

/** Runs one schedule: a cluster, its clients, and what goes wrong, all by the seed. */
export function runSchedule(
  seed: number,
  {
    rules = soundRules,
    kinds = faultKinds,
    planned = plannedOnly,
    drains = true,
    counts,
    trace,
  }: {
    readonly rules?: Rules;
    readonly kinds?: readonly FaultKind[];
    /** The share of the schedules in which nothing goes wrong. */
    readonly planned?: number;
    /** Whether nodes are drained, and started again. */
    readonly drains?: boolean;
    /** Counts on. */
    readonly counts: FaultCounts;
    readonly trace?: ((line: string) => void) | undefined;
  },
): Outcome {
  const scheduler = new Scheduler();
  const random = new Random(seed);
  const timed = trace && ((line: string) => trace(`${scheduler.now.toFixed(1).padStart(9)}  ${line}`));
  const world: World = {
    scheduler,
    random,
    network: new Network(scheduler, random),
    registry: new SimRegistry(rules),
    observer: new Observer(timed),
    moments: new Moments(scheduler),
    rules,
    nodes: new Map(),
  };
  let broken: string | undefined;
  try {
    const isPlanned = random.chance(planned);
    if (isPlanned) world.observer.counts["without faults"] += 1;
    run(world, new Faults(world, counts, isPlanned ? [] : kinds), { isPlanned, drains });
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    broken = error.message;
  }
  return { seed, steps: scheduler.steps, broken, counts: world.observer.counts };
}

function run(
  world: World,
  faults: Faults,
  { isPlanned, drains }: { readonly isPlanned: boolean; readonly drains: boolean },
): void {
  const { scheduler, random, observer } = world;
  const nodes = random.whole(2, 4);
  for (let i = 1; i <= nodes; i++) faults.start(`n${i}`);
  const clients = Array.from(
    { length: random.whole(2, 4) },
    (_, number) => new Client(world, number, { failsNever: isPlanned }),
  );
  const operator = new Operator(world, faults);
  if (drains) operator.plan(faultsFrom, faultsUntil, isPlanned);
  faults.plan(faultsFrom, faultsUntil);
  scheduler.run(faultsUntil);

  faults.mendAll();
  observer.note(() => "everything is mended");
  scheduler.run(faultsUntil + operatedAfter, () => operator.isDone);
  if (!operator.isDone) observer.fail("a drain never ended");
  settle(world, clients);
}

/** Nothing goes wrong any more, and nobody drains anything: every session is served, and comes home. */
function settle(world: World, clients: readonly Client[]): void {
  const { scheduler, observer } = world;
  const from = scheduler.now;
  for (const client of clients) client.settling = true;
  // By then every node knows of every close that it was told of late.
  scheduler.after(2 * times.lease, () => {
    for (const client of clients) client.callEnded();
  });
  const unsettled = () => clients.filter(({ servedSince }) => servedSince < from);
  const away = () => clients.filter(({ id }) => id !== undefined && isAway(world, id));
  const enough = () => scheduler.now > from + settledFirst && unsettled().length === 0 && away().length === 0;
  scheduler.run(from + settledAfter, enough);
  for (const { id } of unsettled()) observer.fail(`${id ?? "a client without a session"} is not served again`);
  for (const { id } of away()) observer.fail(`${id} is not home again`);
  for (const node of world.nodes.values()) {
    const [overdue] = node.finding.overdue();
    if (overdue !== undefined) observer.fail(`${node.incarnation} never ended ${JSON.stringify(overdue)}`);
  }
}

/** Whether a session is not at its home, although that could read it. */
function isAway({ nodes, observer }: World, id: string): boolean {
  const home = nodes.get(homeOf(id));
  if (home === undefined || home.owning.copies.has(id) || observer.of(id).isPinned) return false;
  const holder = [...nodes.values()].find(({ owning }) => owning.copies.has(id));
  return holder === undefined || holder.app <= home.app;
}
