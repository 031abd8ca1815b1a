// The next version of the yardstick: one more tool, and another shape of state. Tests deploy it over the first.
import { defineServer } from "mooring";
import { z } from "zod";
import { answer, yardstick } from "../yardstick/yardstick.ts";

/** The session's counter; the first version kept the number alone. */
interface Counter {
  value: number;
  /** The node that counted last; null while that is not known. */
  node: string | null;
}

// Made once for the process, as all schemas are.
const tally = {
  description: "Says what the session's own counter is, and which node counted last",
  inputSchema: z.object({}),
  outputSchema: z.object({ value: z.number().int(), node: z.string().nullable() }),
  annotations: { readOnlyHint: true },
};

export default defineServer(({ session }) => {
  const counter = session.state<Counter>(
    "count",
    { value: 0, node: null },
    { version: 1, migrate: (value) => ({ value: value as number, node: null }) },
  );
  const server = yardstick(session, {
    version: "2.0.0",
    count: () => {
      counter.value = { value: counter.value.value + 1, node: session.node.name };
      return counter.value.value;
    },
  });
  server.registerTool("tally", tally, async () => answer({ ...counter.value }));
  return server;
});
