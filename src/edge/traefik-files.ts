import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TraefikConfiguration, TraefikFile } from "./traefik.ts";

/** Where the files of one Traefik stand. */
export interface TraefikPaths {
  /** What `traefik --configFile` gets. */
  readonly static: string;
  /** What Traefik watches: `directory` of the options that the configuration is rendered with. */
  readonly directory: string;
}

/** The files of a Traefik whose configuration lives in `folder`. */
export function traefikPaths(folder: string): TraefikPaths {
  return { static: join(folder, "traefik.yml"), directory: join(folder, "dynamic") };
}

/** Writes everything that Traefik reads. Has to be done before it starts: it never notices a folder that comes later. */
export async function writeTraefik(folder: string, configuration: TraefikConfiguration): Promise<TraefikPaths> {
  const paths = traefikPaths(folder);
  await mkdir(paths.directory, { recursive: true });
  await replaceFile(folder, paths.static, configuration.static);
  await replaceFile(folder, join(paths.directory, "base.yml"), configuration.base);
  await writeTraefikView(folder, configuration.view);
  return paths;
}

/** Writes a new view for a Traefik that runs: in effect after some 20 to 100 ms. */
export async function writeTraefikView(folder: string, view: TraefikFile): Promise<void> {
  await replaceFile(folder, join(traefikPaths(folder).directory, "view.yml"), view);
}

/**
 * Puts a file in place whole, because Traefik drops all routes of one that it meets empty. It is first written outside
 * the watched folder, so that Traefik sees one change. JSON is YAML, but only files named `.yml` are read.
 */
async function replaceFile(folder: string, path: string, content: TraefikFile): Promise<void> {
  const draft = join(folder, `.draft-${process.pid}-${++drafts}`);
  try {
    await writeFile(draft, `${JSON.stringify(content, null, 2)}\n`);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

let drafts = 0;
