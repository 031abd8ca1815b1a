import { type ChildProcess, spawn } from "node:child_process";
import { readLines } from "./lines.ts";
import type { Reaper } from "./reaper.ts";

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** What it is called in logs and errors: `node-1`, `traefik`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly reaper: Reaper;
  /** Opens a channel for messages. By its end the child is told of {@link OwnedProcess.stop}, and of this process's end. */
  readonly onMessage?: (message: unknown) => void;
  /** Each line that it prints. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

/** A process did not start, or did not become ready. */
export class ProcessError extends Error {
  override readonly name = "ProcessError";
}

/** The last lines that a process printed, kept for errors. */
const linesKept = 20;
const lookEveryMs = 20;
const restOfOutputMs = 500;

/** A child process with an owner: it is ended by {@link stop}, and by the reaper should this process be killed. */
export class OwnedProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it is gone and its output is read to the end, unless somebody else still holds that open. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #lastLines: string[];
  #exit: Exit | undefined;

  static async start(options: ProcessOptions): Promise<OwnedProcess> {
    const { name, command, args, environment, onMessage, onLine, reaper } = options;
    const child = spawn(command, args, {
      env: environment ?? process.env,
      stdio: onMessage === undefined ? ["ignore", "pipe", "pipe"] : ["ignore", "pipe", "pipe", "ipc"],
      // A process group of its own: Ctrl-C reaches this process alone, which then ends its children in order; and what
      // the child itself starts can be ended with it.
      detached: true,
    });
    if (onMessage !== undefined) child.on("message", onMessage);
    const lastLines: string[] = [];
    for (const stream of ["stdout", "stderr"] as const) {
      const output = child[stream];
      if (output === null) continue;
      readLines(output, (line) => {
        lastLines.push(line);
        if (lastLines.length > linesKept) lastLines.shift();
        onLine?.(line, stream);
      });
    }
    const exited = new Promise<Exit>((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal }));
      child.once("exit", (code, signal) => setTimeout(() => resolve({ code, signal }), restOfOutputMs));
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => {
        reject(new ProcessError(`${name} did not start: ${command}: ${error.message}`, { cause: error }));
      });
    });
    child.on("error", () => {});
    const pid = child.pid as number;
    const owned = new OwnedProcess(name, pid, child, exited, lastLines);
    // What it started itself and left behind.
    child.once("exit", () => signalGroup(pid, "SIGKILL"));
    reaper.add(owned);
    return owned;
  }

  private constructor(name: string, pid: number, child: ChildProcess, exited: Promise<Exit>, lastLines: string[]) {
    this.name = name;
    this.pid = pid;
    this.#child = child;
    this.exited = exited;
    this.#lastLines = lastLines;
    child.once("exit", (code, signal) => {
      this.#exit = { code, signal };
    });
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** The end of what it printed. */
  lastLines(): string {
    return this.#lastLines.join("\n");
  }

  /** Waits until a condition holds; rejects when the process ends before that, or the deadline passes. */
  async ready(holds: () => boolean | Promise<boolean>, deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (!(await holds())) {
      if (this.#exit !== undefined) {
        // The output of a process that has ended may still be on its way.
        await this.exited;
        throw new ProcessError(
          `${this.name} ended at once (${describeExit(this.#exit)}): ${this.lastLines() || "no output"}`,
        );
      }
      if (performance.now() > deadline) {
        throw new ProcessError(
          `${this.name} was not ready within ${deadlineMs} ms: ${this.lastLines() || "no output"}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }

  /** Closes the channel to it, asks it to end, and kills it when it has not ended within the grace. */
  async stop(graceMs: number): Promise<void> {
    if (this.#exit !== undefined) return;
    if (this.#child.connected) this.#child.disconnect();
    this.signal("SIGTERM");
    // A frozen process handles SIGTERM only when it goes on.
    this.signal("SIGCONT");
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** Ends it at once, with all that it started. */
  kill(): void {
    if (this.#exit === undefined) signalGroup(this.pid, "SIGKILL");
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }
}

export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `exit status ${code}` : signal;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nothing of the group is left.
  }
}
