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
 * The session's worker: a task that outlives the call which started it, and the node that it runs on. How far it is
 * stands in session state, so that it goes on from there after a move, and ends with the session.
 *
 * @param tell is given the status after each step, and when the worker was cancelled
 */
export function sessionWorker(session: SessionContext, tell: (status: WorkerStatus) => Promise<void>): Worker {
  const last = session.state<WorkerStatus | null>("worker", null);
  const task = session.task("worker", ({ signal }) => work(signal), { auto: false });

  async function work(signal: AbortSignal): Promise<void> {
    const status = last.value;
    while (status?.state === "running") {
      await sleep(status.everyMs, undefined, { signal });
      // It may have been cancelled just after the pause was over.
      signal.throwIfAborted();
      // No await comes between a step and its message, so the two are kept as one: no step is lost, none is told twice.
      status.step += 1;
      status.bestFare = Math.min(status.bestFare ?? Number.POSITIVE_INFINITY, fareAt(status.tripId, status.step));
      if (status.step >= status.steps) status.state = "done";
      await tell(status);
    }
  }

  return {
    status: () => last.value ?? undefined,
    start(tripId, steps, everyMs) {
      if (task.running) {
        throw new Error("This session's worker is running: wait until it is done, or cancel it first.");
      }
      last.value = { tripId, state: "running", step: 0, steps, everyMs, bestFare: null };
      task.start();
      return last.value;
    },
    cancel() {
      const status = last.value ?? undefined;
      if (status?.state === "running") {
        status.state = "cancelled";
        task.stop();
        // Fails only when the session ends at this moment: nobody is left to be told.
        tell(status).catch(() => {});
      }
      return status;
    },
  };
}
