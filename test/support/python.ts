import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../../node_modules/.cache/mooring-tests", import.meta.url));

/** The versions of the Python SDK that tests use, as unmodified clients. */
export type PythonSdk = "1.29.0" | "2.3.0";

/**
 * A Python with one version of the SDK, in a virtual environment that is made once per checkout. Two runs may make it
 * at once: each makes its own and the first one stays.
 */
async function pythonWith(sdk: PythonSdk): Promise<string> {
  const folder = `${cache}/python-mcp-${sdk}`;
  const python = `${folder}/bin/python`;
  if (existsSync(`${folder}/ready`)) return python;
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(`${cache}/draft-`);
  await run("python3", ["-m", "venv", draft], { timeout: 60_000 });
  await run(`${draft}/bin/python`, ["-m", "pip", "install", "--quiet", `mcp==${sdk}`], { timeout: 180_000 });
  await mkdir(`${draft}/ready`);
  await rename(draft, folder).catch(() => rm(draft, { recursive: true, force: true }));
  return python;
}

function script(name: string): string {
  return fileURLToPath(new URL(`../python/${name}`, import.meta.url));
}

/** Starts a script of test/python, whose end is the caller's to see to. */
export async function startPython(
  sdk: PythonSdk,
  name: string,
  args: readonly string[],
): Promise<ChildProcessWithoutNullStreams> {
  return spawn(await pythonWith(sdk), [script(name), ...args]);
}

/** Runs a script of test/python and gives what it printed, as JSON. */
export async function runPython<T>(
  sdk: PythonSdk,
  name: string,
  args: readonly string[],
  options: { readonly ca?: string; readonly timeoutMs?: number } = {},
): Promise<T> {
  const env = { ...process.env, ...(options.ca !== undefined && { SSL_CERT_FILE: options.ca }) };
  const { stdout } = await run(await pythonWith(sdk), [script(name), ...args], {
    env,
    timeout: options.timeoutMs ?? 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as T;
}
