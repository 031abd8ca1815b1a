import { AskedProcess } from "./asked-process.ts";
import type { Children } from "./children.ts";
import type { LoadPlan, LoadProgress, LoadResult } from "./load/plan.ts";

/** The load generator, in a process of its own that lives as long as the bench: it warms up once. */
export class Load {
  readonly #process: AskedProcess<LoadPlan, LoadResult, LoadProgress>;

  constructor(children: Children) {
    this.#process = new AskedProcess(children, new URL("load/main.ts", import.meta.url), "the load");
  }

  /** Runs one plan; plans take turns. */
  run(plan: LoadPlan, onProgress?: (progress: LoadProgress) => void): Promise<LoadResult> {
    return this.#process.ask(plan, onProgress);
  }
}
