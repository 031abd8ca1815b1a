import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";

const fixture = fileURLToPath(new URL("./fixtures/use-registry.ts", import.meta.url));

/** A process that uses a registry; ended with the test's process at the latest. */
export class RegistryChild {
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  constructor(url: string, { wait = false, env = {} }: { wait?: boolean; env?: Record<string, string> } = {}) {
    this.#child = spawn(process.execPath, [fixture, url, ...(wait ? ["wait"] : [])], {
      env: { ...process.env, NODE_NO_WARNINGS: "1", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (chunk) => {
      this.#stdout += chunk;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#stderr += chunk;
    });
  }

  async prints(text: string): Promise<void> {
    await eventually(() => {
      if (!this.#stdout.includes(text)) throw new Error(`it printed: ${this.#stdout}${this.#stderr}`);
    });
  }

  /** Lets it go on to its end, if it waits. */
  goOn(): void {
    this.#child.stdin?.end();
  }

  /** What it printed, once it has ended by itself. */
  async ends(withinMs = 15_000): Promise<{ status: number | null; stdout: string; stderr: string; stopMs: number }> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), withinMs);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "close");
    clearTimeout(timer);
    const stopMs = Number(/ended (\d+)/.exec(this.#stdout)?.[1] ?? Number.NaN);
    return { status: this.#child.exitCode, stdout: this.#stdout, stderr: this.#stderr, stopMs };
  }
}
