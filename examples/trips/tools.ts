import { z } from "zod";
import { trip } from "./trip.ts";
import { workerStatus } from "./worker.ts";

// Schemas are made once for the process. Made for each session they would be most of what a session costs in memory.

const id = z.string().max(100).describe("a trip's id, from list_trips");
const watched = z.object({ watching: z.array(z.string()).describe("the trips that this session watches now") });
const worker = z.object({ worker: workerStatus.nullable().describe("null when this session never had a worker") });

export const tools = {
  list_trips: {
    description: "All trips, the earliest departure first",
    inputSchema: z.object({}),
    outputSchema: z.object({ trips: z.array(trip) }),
    annotations: { readOnlyHint: true },
  },
  watch_trip: {
    description:
      "Tells this session of each change that anybody makes to the trip: a log message and resources/updated",
    inputSchema: z.object({ id }),
    outputSchema: watched,
    annotations: { readOnlyHint: false, idempotentHint: true },
  },
  unwatch_trip: {
    description: "Ends what watch_trip began",
    inputSchema: z.object({ id }),
    outputSchema: watched,
    annotations: { readOnlyHint: false, idempotentHint: true },
  },
  start_worker: {
    description: "Starts to search for the trip's best fare; each step is told as a log message",
    inputSchema: z.object({
      tripId: id,
      steps: z.number().int().min(1).max(10_000).default(10),
      everyMs: z.number().int().min(10).max(3_600_000).default(1_000),
    }),
    outputSchema: worker,
    annotations: { readOnlyHint: false, idempotentHint: false },
  },
  worker_status: {
    description: "How far this session's worker is",
    inputSchema: z.object({}),
    outputSchema: worker,
    annotations: { readOnlyHint: true },
  },
  cancel_worker: {
    description: "Cancels this session's worker",
    inputSchema: z.object({}),
    outputSchema: worker,
    annotations: { readOnlyHint: false, idempotentHint: true },
  },
};
