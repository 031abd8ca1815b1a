import { AskedProcess } from "./asked-process.ts";
import type { Children } from "./children.ts";
import type { Held, HolderAnswer, HolderRequest } from "./load/holder.ts";

/** A process that holds idle sessions with their streams open. */
export class Holder {
  readonly #process: AskedProcess<HolderRequest, HolderAnswer>;

  constructor(children: Children) {
    this.#process = new AskedProcess(children, new URL("load/holder.ts", import.meta.url), "the clients");
  }

  /** Opens so many more sessions. Each calls the tools named, once. */
  async open(url: string, sessions: number, perSecond: number, calls: readonly string[] = []): Promise<void> {
    await this.#process.ask({ kind: "open", url, sessions, perSecond, calls });
  }

  /** What is held now; keep-alives since this was last asked. */
  async count(): Promise<Held> {
    const answer = await this.#process.ask({ kind: "count" });
    if (answer.kind !== "held") throw new Error(`the clients answered with ${answer.kind}`);
    return answer;
  }

  /** Ends it, and with it every connection that it holds. */
  end(): void {
    this.#process.end();
  }
}
