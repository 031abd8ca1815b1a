import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

export interface SuiteReport {
  readonly exitCode: number | null;
  readonly passed: number;
  readonly failed: number;
  /** The summary's line of each scenario. */
  readonly scenarios: readonly string[];
  /** The lines of scenarios with a failing check, also of those that the revision doesn't score. */
  readonly failing: readonly string[];
  /** What the suite would rather have seen, but doesn't require: "check: why". */
  readonly warnings: readonly string[];
  readonly output: string;
}

const require = createRequire(import.meta.url);
const suite = require.resolve("@modelcontextprotocol/conformance/dist/index.js");
// Ends before the test that waits for it does, so that the process never outlives its owner.
const deadlineMs = 40_000;

const checks = z.array(z.object({ id: z.string(), status: z.string(), errorMessage: z.string().optional() }));

/**
 * Runs the official conformance suite against an MCP endpoint, as a process of its own.
 *
 * @param requirements the revision of the protocol whose required scenarios are run
 */
export async function runSuite(url: string, requirements: "2025-11-25"): Promise<SuiteReport> {
  const folder = await mkdtemp(join(tmpdir(), "mooring-conformance-"));
  try {
    const options = ["--url", url, "--requirements", requirements, "--output-dir", folder];
    const child = spawn(process.execPath, [suite, "server", ...options], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const deadline = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
    const [exitCode] = (await once(child, "close")) as [number | null];
    clearTimeout(deadline);

    const total = /^Total: (\d+) passed, (\d+) failed/m.exec(output);
    const scenarios = output.match(/^. [\w-]+: \d+ passed, \d+ failed.*$/gm) ?? [];
    return {
      exitCode,
      passed: Number(total?.[1]),
      failed: Number(total?.[2]),
      scenarios,
      failing: scenarios.filter((line) => !/\b0 failed/.test(line)),
      warnings: await readWarnings(folder),
      output,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readWarnings(folder: string): Promise<string[]> {
  const warnings: string[] = [];
  for (const path of await readdir(folder, { recursive: true })) {
    if (!path.endsWith("checks.json")) continue;
    for (const check of checks.parse(JSON.parse(await readFile(join(folder, path), "utf8")))) {
      if (check.status === "WARNING") warnings.push(`${check.id}: ${check.errorMessage ?? ""}`);
    }
  }
  return warnings;
}
