import type { Settings } from "./settings.ts";

/**
 * What a node that stops may take besides its drain, in milliseconds: it waits for calls in flight, for those that it
 * passed on, and for the readers of its last answers, and tells the registry that it leaves.
 */
const besidesDrainMs = 20_000;

/** How long a node that stops may take at most, in milliseconds: whoever ends it by force waits for longer. */
export function longestStop({ drainDeadline, edgeDelay }: Pick<Settings, "drainDeadline" | "edgeDelay">): number {
  return drainDeadline + 2 * edgeDelay + besidesDrainMs;
}
