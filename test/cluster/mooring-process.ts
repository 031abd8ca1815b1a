import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The Node that runs Mooring from its sources. */
export const node = join(root, "node_modules/.bin/node");

/** A line of JSON that was logged. */
export interface LoggedLine {
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Lines kept of what a command logs; the oldest go first. */
const mostLines = 50_000;

/** A command line of Mooring that runs: what it prints is read as it comes. */
export class MooringProcess {
  readonly pid: number;
  /** All that it printed on stdout. */
  stdout = "";
  readonly #child: ChildProcess;
  readonly #lines: LoggedLine[] = [];
  readonly #listeners: ((line: LoggedLine) => void)[] = [];
  #plain = "";
  #rest = "";
  readonly #closed: Promise<unknown>;

  constructor(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    command: readonly string[] = [node, "src/cli/main.ts"],
  ) {
    const [program = node, ...first] = command;
    this.#child = spawn(program, [...first, ...args], {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.pid = this.#child.pid as number;
    this.#child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      this.stdout += chunk;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (chunk: string) => this.#readLog(chunk));
    this.#closed = once(this.#child, "close");
    // A test run that ends early leaves nothing: the reaper of a killed `up` ends the rest.
    const endWithUs = () => this.#child.kill("SIGKILL");
    process.once("exit", endWithUs);
    void this.#closed.then(() => process.off("exit", endWithUs));
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Lines of JSON on stderr. */
  logs(): readonly LoggedLine[] {
    return this.#lines;
  }

  onLog(listener: (line: LoggedLine) => void): void {
    this.#listeners.push(listener);
  }

  /** What stood on stderr besides lines of JSON. */
  get plainStderr(): string {
    return this.#plain + this.#rest;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for its end. Gives the exit status, or the signal that ended it. */
  async exit(deadlineMs: number): Promise<number | NodeJS.Signals> {
    const late = AbortSignal.timeout(deadlineMs);
    const over = new Promise<"late">((resolve) =>
      late.addEventListener("abort", () => resolve("late"), { once: true }),
    );
    if ((await Promise.race([this.#closed, over])) === "late") {
      throw new Error(`process ${this.pid} has not ended within ${deadlineMs} ms\n${this.told()}`);
    }
    return this.#child.exitCode ?? (this.#child.signalCode as NodeJS.Signals);
  }

  /** The end of what it printed, for the message of a failed test. */
  told(): string {
    const lines = this.#lines.slice(-25).map((line) => JSON.stringify(line));
    return [...lines, this.plainStderr.slice(-2_000)].join("\n");
  }

  #readLog(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const parsed = parseLine(line);
      if (parsed === undefined) {
        this.#plain = `${this.#plain}${line}\n`.slice(-100_000);
        continue;
      }
      this.#lines.push(parsed);
      if (this.#lines.length > mostLines) this.#lines.shift();
      for (const listener of this.#listeners) listener(parsed);
    }
  }
}

function parseLine(line: string): LoggedLine | undefined {
  try {
    const parsed = JSON.parse(line) as LoggedLine;
    return typeof parsed.event === "string" ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Runs a command to its end. */
export async function runMooring(
  args: readonly string[],
  {
    environment = {},
    deadlineMs = 30_000,
  }: { readonly environment?: NodeJS.ProcessEnv; readonly deadlineMs?: number } = {},
): Promise<{ code: number | NodeJS.Signals; stdout: string; stderr: string; logs: readonly LoggedLine[] }> {
  const mooring = new MooringProcess(args, environment);
  try {
    const code = await mooring.exit(deadlineMs);
    return { code, stdout: mooring.stdout, stderr: mooring.plainStderr, logs: mooring.logs() };
  } finally {
    if (mooring.running) mooring.signal("SIGKILL");
  }
}
