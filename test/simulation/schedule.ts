import { Client } from "./client.ts";
import { type FaultCounts, type FaultKind, Faults, faultKinds } from "./faults.ts";
import { Network } from "./network.ts";
import { Observer, Violation } from "./observer.ts";
import { Random } from "./random.ts";
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
/** Within this after the last fault, every session is served again. */
const settledAfter = 100_000;
/** Time for late messages to do what they can. */
const settledFirst = 2.5 * times.lease;

/** Runs one schedule: a cluster, its clients, and what goes wrong, all by the seed. */
export function runSchedule(
  seed: number,
  {
    rules = soundRules,
    kinds = faultKinds,
    counts,
    trace,
  }: {
    readonly rules?: Rules;
    readonly kinds?: readonly FaultKind[];
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
    rules,
    nodes: new Map(),
  };
  let broken: string | undefined;
  try {
    run(world, new Faults(world, counts, kinds));
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    broken = error.message;
  }
  return { seed, steps: scheduler.steps, broken, counts: world.observer.counts };
}

function run(world: World, faults: Faults): void {
  const { scheduler, random, observer } = world;
  const nodes = random.whole(2, 4);
  for (let i = 1; i <= nodes; i++) faults.start(`n${i}`);
  const clients = Array.from({ length: random.whole(2, 4) }, (_, number) => new Client(world, number));
  faults.plan(faultsFrom, faultsUntil);
  scheduler.run(faultsUntil);

  faults.mendAll();
  observer.note(() => "everything is mended");
  for (const client of clients) client.settling = true;
  // By then every node knows of every close that it was told of late.
  scheduler.after(2 * times.lease, () => {
    for (const client of clients) client.callEnded();
  });
  const unsettled = () => clients.filter(({ servedSince }) => servedSince < faultsUntil);
  scheduler.run(
    faultsUntil + settledAfter,
    () => unsettled().length === 0 && scheduler.now > faultsUntil + settledFirst,
  );
  for (const { id } of unsettled()) observer.fail(`${id ?? "a client without a session"} is not served again`);
  for (const node of world.nodes.values()) {
    const [overdue] = node.finding.overdue();
    if (overdue !== undefined) observer.fail(`${node.incarnation} never ended ${JSON.stringify(overdue)}`);
  }
}
