// `npm test`: every check and every test, in order, with the time of each.
//
//   node scripts/test.mjs [--full] [--checks] [vitest arguments …]
//
// --full    the full sizes of the tests that have a short form (MOORING_FULL=1 does the same)
// --checks  the checks only, without the tests
//
// It starts on any Node that the package supports, with or without node_modules; the steps themselves run with the
// newer Node that the development dependencies bring.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Interrupted, runStep, seconds } from "./checks/run-step.mjs";
import { ensureDependencies } from "./install.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const full = args.includes("--full") || process.env.MOORING_FULL === "1";
const checksOnly = args.includes("--checks");
const vitestArgs = args.filter((arg) => arg !== "--full" && arg !== "--checks");

/** What is quick and says most about a mistake comes first; the first of these that fails ends the run. */
const checks = [
  { name: "types", command: ["tsc", "--project", "."] },
  { name: "style", command: ["biome", "check", "--error-on-warnings"] },
  { name: "layers", command: ["depcruise", "--config", ".dependency-cruiser.cjs", "src", "examples"] },
  { name: "unused code", command: ["knip"] },
  { name: "build", command: ["tsdown", "--logLevel", "warn"] },
  { name: "package: its description", command: ["publint", "--strict"] },
  { name: "package: its types", command: ["attw", "--pack", ".", "--profile", "esm-only", "--format", "ascii"] },
];

const servers = { name: "Traefik and Valkey", command: ["node", "scripts/checks/servers.ts"] };

const installed = {
  name: "package: installed, on the machine's Node",
  command: [process.execPath, "scripts/checks/installed.mjs"],
};

const started = performance.now();
const scratch = mkdtempSync(join(tmpdir(), "mooring-test-"));
const summaryFile = join(scratch, "summary.json");
const tests = {
  name: full ? "tests, full sizes" : "tests",
  command: ["vitest", "run", "--reporter=default", "--reporter=./scripts/checks/folder-times.mjs", ...vitestArgs],
  environment: { MOORING_TEST_SUMMARY: summaryFile, ...(full ? { MOORING_FULL: "1" } : {}) },
  minutes: full ? 180 : 60,
};

let interruption;
let passed = 0;
let failed = 0;

/** Runs one step, and counts it. */
async function take(step) {
  const { ok, ms } = await runStep(root, step);
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}: ${step.name}, ${seconds(ms)}`);
  return ok;
}

/** Runs vitest, and counts each of its tests instead of the step. */
async function takeTests() {
  const { ok, ms } = await runStep(root, tests);
  const summary = readSummary();
  passed += summary.passed;
  // Vitest may fail without a failed test: an unhandled error, no test found, a crash.
  failed += summary.failed === 0 && !ok ? 1 : summary.failed;
  console.log(`${ok ? "ok" : "FAILED"}: ${tests.name}, ${seconds(ms)}`);
}

function readSummary() {
  try {
    return JSON.parse(readFileSync(summaryFile, "utf8"));
  } catch {
    return { passed: 0, failed: 0 };
  }
}

async function takeAll() {
  for (const check of checks) {
    if (!(await take(check))) return;
  }
  if (checksOnly) return;
  if (!(await take(servers))) return;
  await take(installed);
  await takeTests();
}

try {
  await ensureDependencies();
  await takeAll();
} catch (error) {
  failed += 1;
  interruption = error instanceof Interrupted ? error.signal : undefined;
  console.error(error instanceof Error ? error.message : error);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`\nin all ${seconds(performance.now() - started)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
// Whoever interrupted it sees that it did not end by itself.
if (interruption !== undefined) process.kill(process.pid, interruption);
