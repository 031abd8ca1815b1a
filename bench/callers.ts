import type { ChildProcess } from "node:child_process";
import type { Children } from "./children.ts";
import type { CallersAnswer, CallersRequest, Calls } from "./load/callers.ts";

/** A process whose sessions call at an even pace. */
export class Callers {
  readonly #child: ChildProcess;

  constructor(children: Children) {
    this.#child = children.fork(new URL("load/callers.ts", import.meta.url));
  }

  /** Opens the sessions at that endpoint, and begins to call there. */
  async begin(url: string, sessions: number, callsPerSecond: number): Promise<void> {
    await this.#ask({ kind: "begin", url, sessions, callsPerSecond });
  }

  /** The calls that were answered since this was last asked. */
  async calls(): Promise<Calls> {
    const answer = await this.#ask({ kind: "calls" });
    if (answer.kind !== "calls") throw new Error(`the clients answered with ${answer.kind}`);
    return answer;
  }

  #ask(request: CallersRequest): Promise<CallersAnswer> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
        act();
      };
      const onMessage = (answer: CallersAnswer): void =>
        settle(() => {
          if (answer.kind === "error") reject(new Error(`the clients failed: ${answer.message}`));
          else resolve(answer);
        });
      const onExit = (code: number | null): void =>
        settle(() => reject(new Error(`the process of the clients ended (${code})`)));
      child.on("message", onMessage);
      child.on("exit", onExit);
      child.send(request);
    });
  }
}
