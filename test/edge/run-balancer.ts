import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "./eventually.ts";
import { runProgram } from "./run-program.ts";

const execute = promisify(execFile);
const installMs = 120_000;

/** A balancer that runs. */
export interface RunningBalancer {
  readonly url: string;
  /** What it printed. */
  log(): string;
  stop(): Promise<void>;
}

/**
 * Where a Debian package's program is. It is installed only where a machine was made for the tests (CI=true, root);
 * undefined where it is missing.
 */
export async function findDebianProgram(name: string, { install }: { install: boolean }): Promise<string | undefined> {
  const found = await lookFor(name);
  if (found !== undefined || !install || process.env.CI !== "true" || process.getuid?.() !== 0) return found;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await execute("apt-get", ["update"], { env, timeout: installMs });
  await execute("apt-get", ["install", "--yes", "--no-install-recommends", name], { env, timeout: installMs });
  return await lookFor(name);
}

async function lookFor(name: string): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"]) {
    const path = join(folder, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** Starts a balancer in the foreground, and resolves when its port answers. */
export async function runBalancer(program: string, args: readonly string[], port: number): Promise<RunningBalancer> {
  const { log, ended, stop } = await runProgram(program, args);
  try {
    await eventually("it listens", async () => {
      if (ended()) throw new Error(`it ended at once: ${log()}`);
      return await answers(port);
    });
  } catch (error) {
    await stop();
    throw new Error(`${program}: ${(error as Error).message}\n${log()}`, { cause: error });
  }
  return { url: `http://127.0.0.1:${port}`, log, stop };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.on("connect", () => done(true));
    socket.on("error", () => done(false));
  });
}
