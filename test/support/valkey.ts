import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

/** A real Valkey of one's own, empty at its start, on a free port of loopback. */
export interface Valkey {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its own folder; removed by {@link stop}. */
  readonly folder: string;
  /** SIGKILL; resolves when the process is gone. Start another with `{ port }` to bring it back. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** Ends it, frozen or not, and removes its folder. May be called more than once, and after kill(). */
  stop(): Promise<void>;
}

export interface ValkeyOptions {
  /** More arguments of valkey-server, e.g. `["--requirepass", "secret"]`. */
  readonly args?: readonly string[];
  /** A certain port in place of a free one: to bring a killed server back. */
  readonly port?: number;
  /** The folder of a killed server, with what it left there. */
  readonly folder?: string;
  /** What its configuration file says, in place of having none: `--sentinel` asks for one, and writes to it. */
  readonly config?: string;
}

const startDeadlineMs = 10_000;
const stopDeadlineMs = 3_000;

/** Where the server's binary is: MOORING_VALKEY, else where the product itself finds it. */
async function valkeyPath(): Promise<string> {
  const given = process.env.MOORING_VALKEY;
  if (given !== undefined && given !== "") return given;
  const { findValkey } = await import("../../src/local/binaries.ts");
  return (await findValkey()).path;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();

// The last resort, for what a test file ends without having stopped. Vitest ends its workers by SIGTERM.
process.once("SIGTERM", () => process.exit());
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Starts a Valkey and resolves when it answers. Nothing is kept on disk. */
export async function startValkey(options: ValkeyOptions = {}): Promise<Valkey> {
  const binary = await valkeyPath();
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "mooring-valkey-")));
  folders.add(folder);
  const port = options.port ?? (await freePort());
  const configFile = join(folder, "valkey.conf");
  if (options.config !== undefined) await writeFile(configFile, options.config);
  const child = spawn(
    binary,
    [
      ...(options.config === undefined ? [] : [configFile]),
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--daemonize", "no"],
      ...(options.args?.includes("--sentinel") ? [] : ["--save", "", "--appendonly", "no"]),
      ...(options.args ?? []),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const failed = once(child, "error").then(([error]) => {
    throw new Error(`${binary} did not start: ${(error as Error).message}`);
  });
  failed.catch(() => {});
  running.add(child);

  const stop = async (): Promise<void> => {
    await end(child);
    running.delete(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.race([failed, answers(port, child)]);
  } catch (error) {
    await stop();
    throw new Error(`Valkey on port ${port}: ${(error as Error).message}\n${output}`);
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid as number,
    folder,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
    freeze() {
      child.kill("SIGSTOP");
    },
    thaw() {
      child.kill("SIGCONT");
    },
    stop,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  child.kill("SIGCONT");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopDeadlineMs);
  await exited;
  clearTimeout(timer);
}

/** Resolves when anything, be it NOAUTH, is answered to a PING. */
async function answers(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  while (!(await answersOnce(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("the process ended at once");
    if (Date.now() > deadline) throw new Error(`no answer within ${startDeadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function answersOnce(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(500, () => done(false));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("connect", () => socket.write("PING\r\n"));
    socket.on("data", () => done(true));
  });
}
