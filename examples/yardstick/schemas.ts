import { z } from "zod";

// Made once for the process, not once for each session: a schema made per session costs ten times a session's memory.

const text = z.string().max(1_000_000);
const milliseconds = z.number().int().min(0).max(600_000);
const node = z.string().describe("the name of the node that answered");

export const tools = {
  echo: {
    description: "Gives back what it was given",
    inputSchema: z.object({ text }),
    outputSchema: z.object({ text: z.string() }),
    annotations: { readOnlyHint: true },
  },
  where: {
    description: "Says which node and process hold this session",
    inputSchema: z.object({}),
    outputSchema: z.object({ node, pid: z.number().int(), session: z.string(), epoch: z.number().int() }),
    annotations: { readOnlyHint: true },
  },
  count: {
    description: "Adds one to the session's own counter",
    inputSchema: z.object({}),
    outputSchema: z.object({ value: z.number().int(), node }),
    annotations: { readOnlyHint: false, idempotentHint: false },
  },
  append: {
    description: "Appends a line to the file named by YARDSTICK_LOG: shows from outside how often a call ran",
    inputSchema: z.object({ line: text }),
    outputSchema: z.object({ node }),
    annotations: { readOnlyHint: false, idempotentHint: false },
  },
  sleep: {
    description: "Takes its time, and tells of its progress in even steps",
    inputSchema: z.object({ ms: milliseconds, steps: z.number().int().min(0).max(10_000).default(0) }),
    outputSchema: z.object({ node }),
    annotations: { readOnlyHint: true },
  },
  announce: {
    description: "Returns at once, then sends numbered log messages on the session's standalone stream",
    inputSchema: z.object({ count: z.number().int().min(1).max(1_000_000), everyMs: milliseconds }),
    outputSchema: z.object({ count: z.number().int(), everyMs: z.number().int(), node }),
    annotations: { readOnlyHint: false, idempotentHint: false },
  },
  ask: {
    description: "Asks the person at the client for one text",
    inputSchema: z.object({ question: text }),
    outputSchema: z.object({ answer: z.string() }),
    annotations: { readOnlyHint: false, idempotentHint: false },
  },
  big: {
    description: "A text of the size asked for",
    inputSchema: z.object({
      bytes: z
        .number()
        .int()
        .min(0)
        .max(32 * 1024 * 1024),
    }),
    outputSchema: z.object({ text: z.string() }),
    annotations: { readOnlyHint: true },
  },
};
