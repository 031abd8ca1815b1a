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
  #load: ChildProcess | undefined;

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

  /** Starts the load, which is spoken with both ways. It ends when the channel to the bench does. */
  forkLoad(): ChildProcess {
    // Like the others it leads a process group: Ctrl-C reaches only the bench, which ends them in order.
    this.#load = fork(fileURLToPath(new URL("load/main.ts", import.meta.url)), { detached: true });
    return this.#load;
  }

  /** Ends them all, the load first. */
  async stop(): Promise<void> {
    const load = this.#load;
    if (load?.pid !== undefined && load.exitCode === null && load.signalCode === null) {
      const exited = once(load, "exit");
      load.kill("SIGKILL");
      await exited;
    }
    await Promise.all(this.#owned.map((process) => process.stop(stopGraceMs)));
    this.reaper.stop();
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}
