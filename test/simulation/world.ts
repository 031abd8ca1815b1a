import type { Moments } from "./moments.ts";
import type { Network } from "./network.ts";
import type { Observer } from "./observer.ts";
import type { Random } from "./random.ts";
import type { Rules } from "./rules.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimRegistry } from "./sim-registry.ts";

/** The times that a cluster is set to, in milliseconds: those of the settings' defaults, as far as there are some. */
export const times = {
  lease: 5_000,
  renew: 1_000,
  probe: 500,
  hold: 10_000,
  command: 1_000,
  relay: 12_000,
  /** For so long another node may take to take a session. */
  take: 5_000,
  /** Much shorter than anybody would set it: schedules are short. */
  park: 1_500,
  settle: 2_000,
  rest: 3_000,
} as const;

/** How many sessions of a node begin to move in a second. */
export const perSecond = 20;

/** After this long an answer gets its head. */
export const quickMs = 20;

/** One schedule: everything that is in it. */
export interface World {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly registry: SimRegistry;
  readonly observer: Observer;
  readonly moments: Moments;
  readonly rules: Rules;
  /** The node that is, or was last, at each address. */
  readonly nodes: Map<string, SimNode>;
}

/** Whether nobody can reach the registry: then an answer may leave whose state is not written. */
export function isRegistryGoneForAll({ nodes, registry, network }: World): boolean {
  if (registry.isAway) return true;
  return [...nodes.values()].every(({ tag, process }) => process.isGone || network.isCut(tag, "registry"));
}
