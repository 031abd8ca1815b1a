import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A program that runs, and ends with the tests at the latest. */
export interface RunningProgram {
  /** What it printed last. */
  log(): string;
  /** Whether it has ended. */
  ended(): boolean;
  stop(): Promise<void>;
}

export async function runProgram(path: string, args: readonly string[]): Promise<RunningProgram> {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-100_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  await once(child, "spawn");
  const endWithUs = (): void => void child.kill("SIGKILL");
  process.once("exit", endWithUs);
  return {
    log: () => output,
    ended: () => hasEnded(child),
    async stop() {
      await end(child);
      process.removeListener("exit", endWithUs);
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await exited;
  clearTimeout(timer);
}
