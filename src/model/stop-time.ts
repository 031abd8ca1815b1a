/**
 * What a node that stops may take besides its drain, in milliseconds: it waits for calls in flight and for the readers of
 * its last answers, and tells the registry that it leaves.
 */
const besidesDrainMs = 15_000;

/** How long a node that stops may take at most, in milliseconds: whoever ends it by force waits for longer. */
export function longestStop(drainDeadlineMs: number): number {
  return drainDeadlineMs + besidesDrainMs;
}
