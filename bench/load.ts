import type { ChildProcess } from "node:child_process";
import type { Children } from "./children.ts";
import type { LoadMessage, LoadPlan, LoadProgress, LoadResult } from "./load/plan.ts";

/** The load generator, in a process of its own that lives as long as the bench: it warms up once. */
export class Load {
  readonly #child: ChildProcess;

  constructor(children: Children) {
    this.#child = children.fork(new URL("load/main.ts", import.meta.url));
  }

  /** Runs one plan; plans take turns. */
  run(plan: LoadPlan, onProgress: (progress: LoadProgress) => void = () => {}): Promise<LoadResult> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
        act();
      };
      const onMessage = (message: LoadMessage): void => {
        switch (message.kind) {
          case "progress":
            onProgress(message.progress);
            return;
          case "result":
            settle(() => resolve(message.result));
            return;
          case "error":
            settle(() => reject(new Error(`the load on ${plan.url} failed: ${message.message}`)));
        }
      };
      const onExit = (code: number | null): void => {
        settle(() => reject(new Error(`the load process ended (${code}) in the middle of a run`)));
      };
      child.on("message", onMessage);
      child.on("exit", onExit);
      child.send(plan);
    });
  }
}
