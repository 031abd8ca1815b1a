import { setTimeout as sleep } from "node:timers/promises";
import type { SessionContext } from "mooring";
import { z } from "zod";

/** A search for the best fare of a trip, which takes many steps. */
export const workerStatus = z.object({
  tripId: z.string(),
  state: z.enum(["running", "done", "cancelled"]),
  step: z.number().int(),
  steps: z.number().int(),
  everyMs: z.number().int(),
  bestFare: z.number().int().nullable(),
});
export type WorkerStatus = z.output<typeof workerStatus>;

export interface Worker {
  /** Undefined when the session has never had one. */
  status(): WorkerStatus | undefined;
  /** Throws when one is running: a session has one worker at a time. */
  start(tripId: string, steps: number, everyMs: number): WorkerStatus;
  /** Cancels the one that is running, if any. */
  cancel(): WorkerStatus | undefined;
}

/** Stands for asking an airline: the same step of the same trip always finds the same fare. */
function fareAt(tripId: string, step: number): number {
  let hash = step;
  for (const character of tripId) hash = (hash * 31 + character.charCodeAt(0)) % 1_000_003;
  return 80 + (hash % 400);
}

/**
 * The session's worker: a task that outlives the call which started it, and ends with the session.
 *
 * @param tell is given the status after each step, and when the worker was cancelled
 */
export function sessionWorker(session: SessionContext, tell: (status: WorkerStatus) => Promise<void>): Worker {
  const last = session.state<WorkerStatus | null>("worker", null);
  let running: AbortController | undefined;

  async function work(status: WorkerStatus, signal: AbortSignal): Promise<void> {
    while (status.state === "running") {
      await sleep(status.everyMs, undefined, { signal });
      // It may have been cancelled just after the pause was over.
      signal.throwIfAborted();
      status.step += 1;
      status.bestFare = Math.min(status.bestFare ?? Number.POSITIVE_INFINITY, fareAt(status.tripId, status.step));
      if (status.step >= status.steps) status.state = "done";
      await tell(status);
    }
  }

  session.signal.addEventListener("abort", () => running?.abort());

  return {
    status: () => last.value ?? undefined,
    start(tripId, steps, everyMs) {
      if (last.value?.state === "running") {
        throw new Error("This session's worker is running: wait until it is done, or cancel it first.");
      }
      const status: WorkerStatus = { tripId, state: "running", step: 0, steps, everyMs, bestFare: null };
      last.value = status;
      running = new AbortController();
      // Rejects when the worker is cancelled or the session ends: both end the loop, and there is nothing to mend.
      work(status, running.signal).catch(() => {});
      return status;
    },
    cancel() {
      const status = last.value ?? undefined;
      if (status?.state === "running") {
        status.state = "cancelled";
        running?.abort();
        tell(status).catch(() => {});
      }
      return status;
    },
  };
}
