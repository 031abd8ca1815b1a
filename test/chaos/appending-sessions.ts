import { readFile } from "node:fs/promises";
import { call } from "../support/raw-mcp.ts";

/**
 * Sessions whose clients do not give up: each calls `append` with one line after another, and sends the same POST again
 * until it has an answer of some kind. No line may be in the file twice.
 */
export class AppendingSessions {
  /** Lines that were answered for with a result. */
  readonly acknowledged: string[] = [];
  readonly #mcp: string;
  readonly #loops: readonly Promise<void>[];
  #working = true;

  constructor(mcp: string, ids: readonly string[]) {
    this.#mcp = mcp;
    this.#loops = ids.map((id) => this.#work(id));
  }

  async stop(): Promise<void> {
    this.#working = false;
    await Promise.all(this.#loops);
  }

  /** What is wrong with the file that they appended to: lines that are there twice, and lines that are missing. */
  async faults(file: string): Promise<string[]> {
    const lines = (await readFile(file, "utf8")).trim().split("\n");
    const unique = new Set(lines);
    const twice = lines.filter((line, index) => lines.indexOf(line) !== index);
    const missing = this.acknowledged.filter((line) => !unique.has(line));
    return [...twice.map((line) => `twice: ${line}`), ...missing.map((line) => `missing: ${line}`)];
  }

  async #work(id: string): Promise<void> {
    for (let n = 1; this.#working; n += 1) {
      const line = `${id} ${n}`;
      for (let attempt = 0; attempt < 20; attempt += 1) {
        const answer = await call(this.#mcp, id, "append", { line }, n).catch(() => undefined);
        if (answer?.status !== 200) continue;
        if (answer.body.result?.structuredContent !== undefined) this.acknowledged.push(line);
        break;
      }
    }
  }
}
