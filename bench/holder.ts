import type { ChildProcess } from "node:child_process";
import type { Children } from "./children.ts";
import type { Held, HolderAnswer, HolderRequest } from "./load/holder.ts";

/** A process that holds idle sessions with their streams open. */
export class Holder {
  readonly #child: ChildProcess;

  constructor(children: Children) {
    this.#child = children.fork(new URL("load/holder.ts", import.meta.url));
  }

  /** Opens so many more sessions. Each calls the tools named, once. */
  async open(url: string, sessions: number, perSecond: number, calls: readonly string[] = []): Promise<void> {
    await this.#ask({ kind: "open", url, sessions, perSecond, calls });
  }

  /** What is held now; keep-alives since this was last asked. */
  async count(): Promise<Held> {
    const answer = await this.#ask({ kind: "count" });
    if (answer.kind !== "held") throw new Error(`the clients answered with ${answer.kind}`);
    return answer;
  }

  /** Ends it, and with it every connection that it holds. */
  end(): void {
    this.#child.kill("SIGKILL");
  }

  #ask(request: HolderRequest): Promise<HolderAnswer> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
        act();
      };
      const onMessage = (answer: HolderAnswer): void =>
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
