import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { TraefikConfiguration } from "./traefik.ts";
import type { TraefikFile } from "./traefik-view.ts";

/** Where the files of one Traefik stand. */
export interface TraefikPaths {
  /** What `traefik --configFile` gets. */
  readonly static: string;
  /** What Traefik watches: `directory` of the options that the configuration is rendered with. */
  readonly directory: string;
  /** What follows the cluster. */
  readonly view: string;
}

/** The files of a Traefik whose configuration lives in `folder`. */
export function traefikPaths(folder: string): TraefikPaths {
  const directory = join(folder, "dynamic");
  return { static: join(folder, "traefik.yml"), directory, view: join(directory, "view.yml") };
}

/** Writes everything that Traefik reads. Has to be done before it starts: it never notices a folder that comes later. */
export async function writeTraefik(folder: string, configuration: TraefikConfiguration): Promise<TraefikPaths> {
  const paths = traefikPaths(folder);
  await mkdir(paths.directory, { recursive: true });
  await replaceFile(paths.static, fileText(configuration.static), folder);
  await replaceFile(join(paths.directory, "base.yml"), fileText(configuration.base), folder);
  await replaceFile(paths.view, fileText(configuration.view), folder);
  return paths;
}

/** JSON is YAML, but only files named `.yml` are read. */
export function fileText(content: TraefikFile): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** A file in a folder that a Traefik watches: a change is in effect after some 20 to 100 ms. */
export class WatchedFile {
  readonly path: string;
  readonly #drafts: string;

  /** @param drafts a folder on the same file system that Traefik doesn't watch; by default the one above the file's */
  constructor(path: string, drafts?: string) {
    this.path = resolve(path);
    this.#drafts = drafts ?? dirname(dirname(this.path));
  }

  /** Makes the folder, and says now what would hinder writing later. */
  async prepare(): Promise<void> {
    const folder = dirname(this.path);
    await mkdir(folder, { recursive: true });
    const probe = draftIn(folder, basename(this.path));
    await writeFile(probe, "");
    await rm(probe);
  }

  /** Puts the text in place whole. */
  async write(text: string): Promise<void> {
    const folder = dirname(this.path);
    await mkdir(folder, { recursive: true });
    try {
      await replaceFile(this.path, text, this.#drafts);
    } catch {
      // Where the watched folder is a volume of its own, as in containers, a draft can stand only in it.
      await replaceFile(this.path, text, folder);
    }
  }

  /** Whether the file says this and nothing else. */
  async says(text: string): Promise<boolean> {
    try {
      return (await readFile(this.path, "utf8")) === text;
    } catch {
      return false;
    }
  }
}

/**
 * Puts a file in place whole, because Traefik drops all routes of one that it meets empty. It is first written to a
 * draft: outside the watched folder, where that can be, so that Traefik sees one change.
 */
async function replaceFile(path: string, text: string, draftFolder: string): Promise<void> {
  const draft = draftIn(draftFolder, basename(path));
  try {
    await writeFile(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

/** Named so that Traefik does not read it. */
function draftIn(folder: string, name: string): string {
  drafts += 1;
  return join(folder, `.${name}-${process.pid}-${drafts}.draft`);
}

let drafts = 0;
