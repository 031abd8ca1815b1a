import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stateFolder } from "./folders.ts";
import { isAlive } from "./process-table.ts";

/** What a running local cluster writes down about itself, for the commands that operate it. */
export interface ClusterState {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Its console's address, once it serves. */
  readonly console?: string;
  readonly nodes?: readonly {
    readonly name: string;
    readonly pid: number;
    readonly url: string;
    readonly admin: string;
  }[];
}

const fileName = "cluster.json";
/** A folder without a readable file may be one that is just being made. */
const youngMs = 60_000;

/** Makes the folder of a new cluster. */
export async function makeStateFolder(): Promise<string> {
  const parent = stateFolder();
  await mkdir(parent, { recursive: true, mode: 0o700 });
  return await mkdtemp(join(parent, "cluster-"));
}

export async function writeState(folder: string, state: ClusterState): Promise<void> {
  const draft = join(folder, `.${fileName}`);
  await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, join(folder, fileName));
}

/** The clusters whose process lives, the newest first. */
export async function runningClusters(): Promise<ClusterState[]> {
  const states = await Promise.all((await folders()).map(readState));
  return states
    .filter((state) => state !== undefined)
    .filter(({ pid }) => isAlive(pid))
    .sort((a, b) => b.startedAt - a.startedAt);
}

/** Removes what clusters left that were killed. Gives how many there were. */
export async function removeStaleFolders(): Promise<number> {
  let removed = 0;
  for (const folder of await folders()) {
    const state = await readState(folder);
    if (state === undefined ? await isYoung(folder) : isAlive(state.pid)) continue;
    await rm(folder, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}

async function folders(): Promise<string[]> {
  const parent = stateFolder();
  try {
    return (await readdir(parent)).filter((name) => name.startsWith("cluster-")).map((name) => join(parent, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function readState(folder: string): Promise<ClusterState | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, fileName), "utf8")) as ClusterState;
  } catch {
    return undefined;
  }
}

async function isYoung(folder: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(folder)).mtimeMs < youngMs;
  } catch {
    return false;
  }
}
