// The load in a process of its own: it takes plans from the bench over IPC, one at a time, and ends with it.
import type { LoadMessage, LoadPlan } from "./plan.ts";
import { runLoad } from "./run.ts";

function say(message: LoadMessage): void {
  process.send?.(message);
}

process.on("disconnect", () => process.exit(0));
process.on("message", (plan: LoadPlan) => {
  runLoad(plan, (progress) => say({ kind: "progress", progress })).then(
    (result) => say({ kind: "result", result }),
    (error: Error) => say({ kind: "error", message: error.message }),
  );
});
