import { homedir } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** What is kept between starts: binaries and the local CA. */
export function cacheFolder(environment: Environment = process.env): string {
  return environment.MOORING_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "mooring");
}

/** What belongs to running clusters: one folder each. */
export function stateFolder(environment: Environment = process.env): string {
  return join(environment.XDG_STATE_HOME || join(homedir(), ".local", "state"), "mooring");
}
