import { AskedProcess } from "./asked-process.ts";
import type { Children } from "./children.ts";
import type { CallersAnswer, CallersRequest, Calls } from "./load/callers.ts";

/** A process whose sessions call at an even pace. */
export class Callers {
  readonly #process: AskedProcess<CallersRequest, CallersAnswer>;

  constructor(children: Children) {
    this.#process = new AskedProcess(children, new URL("load/callers.ts", import.meta.url), "the clients");
  }

  /** Opens the sessions at that endpoint, and begins to call there. */
  async begin(url: string, sessions: number, callsPerSecond: number): Promise<void> {
    await this.#process.ask({ kind: "begin", url, sessions, callsPerSecond });
  }

  /** The calls that were answered since this was last asked. */
  async calls(): Promise<Calls> {
    const answer = await this.#process.ask({ kind: "calls" });
    if (answer.kind !== "calls") throw new Error(`the clients answered with ${answer.kind}`);
    return answer;
  }
}
