import type { ChildProcess } from "node:child_process";
import type { Children } from "./children.ts";
import type { Said } from "./load/answer-bench.ts";

/** A module of the bench in a process of its own, which does what it is asked for, and answers. */
export class AskedProcess<Request extends object, Answer, Progress = never> {
  readonly #child: ChildProcess;
  readonly #name: string;

  constructor(children: Children, module: URL, name: string) {
    this.#child = children.fork(module);
    this.#name = name;
  }

  /** Asks for one thing; the one before has to be answered. Rejects when that fails, or the process ends. */
  ask(request: Request, onProgress: (progress: Progress) => void = () => {}): Promise<Answer> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
        act();
      };
      const fail = (why: string): void => settle(() => reject(new Error(`${this.#name} failed: ${why}`)));
      const onMessage = (said: Said<Answer, Progress>): void => {
        switch (said.kind) {
          case "progress":
            onProgress(said.progress);
            return;
          case "answer":
            settle(() => resolve(said.answer));
            return;
          case "failed":
            fail(said.why);
        }
      };
      const onExit = (code: number | null): void => fail(`its process ended (${code})`);
      child.on("message", onMessage);
      child.on("exit", onExit);
      child.send(request, (error) => {
        if (error !== null) fail(error.message);
      });
    });
  }

  /** Ends the process at once. */
  end(): void {
    this.#child.kill("SIGKILL");
  }
}
