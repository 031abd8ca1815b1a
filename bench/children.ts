import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OwnedProcess, type ProcessOptions } from "../src/local/owned-process.ts";
import { Reaper } from "../src/local/reaper.ts";

/** `mooring up` itself waits for its nodes and for Traefik. */
const stopGraceMs = 20_000;

/** The processes that the bench has started, and their files. No process outlives it, however it ends. */
export class Children {
  readonly reaper = new Reaper();
  readonly #owned: OwnedProcess[] = [];
  readonly #folders: string[] = [];
  readonly #forked: ChildProcess[] = [];

  /** Starts a program whose output only its errors show. */
  async start(options: Omit<ProcessOptions, "reaper">): Promise<OwnedProcess> {
    const started = await OwnedProcess.start({ ...options, reaper: this.reaper });
    this.own(started);
    return started;
  }

  /** Takes a process over that was started with the reaper of these. */
  own(process: OwnedProcess): void {
    this.#owned.push(process);
  }

  /** A folder of their own, removed when they have ended. */
  async makeFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "mooring-bench-"));
    this.#folders.push(folder);
    return folder;
  }

  /** Starts a module of the bench that is spoken with both ways. It ends when the channel to the bench does. */
  fork(module: URL): ChildProcess {
    // Like the others it leads a process group: Ctrl-C reaches only the bench, which ends them in order.
    const child = fork(fileURLToPath(module), { detached: true });
    this.#forked.push(child);
    return child;
  }

  /** Ends them all, those that put load on others first. */
  async stop(): Promise<void> {
    await Promise.all(this.#forked.map(endAtOnce));
    await Promise.all(this.#owned.map((process) => process.stop(stopGraceMs)));
    this.reaper.stop();
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

async function endAtOnce(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
