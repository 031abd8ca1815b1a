import { homedir } from "node:os";
import { join } from "node:path";

/** The system does not let Mooring use one of its folders; the message says which, and how to name another one. */
class FolderError extends Error {
  override readonly name = "FolderError";
}

const refusals = ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR"];

/** Passes on what comes of work in a folder. @throws FolderError when the system refuses it */
export async function workIn<T>(folder: string, variable: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || !refusals.includes(code)) throw error;
    throw new FolderError(
      `Mooring can't use its folder ${folder}: ${message}. Mend it, or name another one with ${variable}.`,
      { cause: error },
    );
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What is kept between starts: binaries and the local CA. */
export function cacheFolder(environment: Environment = process.env): string {
  return environment.MOORING_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "mooring");
}

/** What belongs to running clusters: one folder each. */
export function stateFolder(environment: Environment = process.env): string {
  return join(environment.XDG_STATE_HOME || join(homedir(), ".local", "state"), "mooring");
}
