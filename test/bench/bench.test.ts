import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { EdgeReport } from "../../bench/edge.ts";
import type { LocalReport } from "../../bench/local.ts";
import { eventually } from "../support/eventually.ts";

const main = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

function bench(...args: string[]): { readonly child: ChildProcess; readonly output: () => Promise<string> } {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const closed = once(child, "close");
  return {
    child,
    output: async () => {
      const [code] = await closed;
      expect(code, stderr).toBe(0);
      return stdout;
    },
  };
}

const tiny = [
  "--rounds",
  "2",
  "--seconds",
  "0.2",
  "--warmup-seconds",
  "0.1",
  "--sessions",
  "4",
  "--connections",
  "1,2",
];

test("the bench measures one node beside the SDK and Node's http, and prints ratios", async () => {
  const report = JSON.parse(await bench("local", ...tiny, "--json").output()) as LocalReport;
  expect(report.comparisons.map(({ connections }) => connections)).toEqual([1, 2]);
  for (const { summaries, ratios } of report.comparisons) {
    expect(summaries.map(({ subject }) => subject)).toEqual(["Mooring", "SDK v2", "Node http"]);
    for (const { subject, calls, failures, samples } of summaries) {
      expect(calls, subject).toBeGreaterThan(0);
      expect({ failures, samples }, subject).toEqual({
        failures: { cut: 0, unanswered: 0, late: 0, refused: 0, wrong: 0 },
        samples: [],
      });
    }
    expect(ratios.map(({ of, to, rounds }) => [of, to, rounds.length])).toEqual([
      ["Mooring", "SDK v2", 2],
      ["Mooring", "Node http", 2],
    ]);
    for (const { median, min, max } of ratios) {
      expect(min).toBeGreaterThan(0);
      expect(min).toBeLessThanOrEqual(median);
      expect(median).toBeLessThanOrEqual(max);
    }
  }
});

test("the bench through the edge looks at each answer", async () => {
  const output = await bench(
    "edge",
    "--rounds",
    "1",
    "--seconds",
    "0.3",
    "--sessions",
    "6",
    "--connections",
    "3",
    "--calls",
    "200",
  ).output();
  expect(output).toMatch(/\/ 3 SDK v2 behind Traefik: \d+[.]\d\d \(.*\), aim >= 1.5: (met|missed)/);
  expect(output).toMatch(/^200 of 200 calls answered rightly in \d+ s, failed: none$/m);
  expect(output).toMatch(/^cut answers: 0, aim 0: met$/m);
});

test("the bench measures Traefik with few and many pin routers", async () => {
  const sizes = ["--rounds", "1", "--seconds", "0.2", "--warmup-seconds", "0.1", "--sessions", "6"];
  const output = await bench("edge", ...sizes, "--connections", "2", "--routers", "3,20", "--json").output();
  const { comparison, routers } = JSON.parse(output) as EdgeReport;
  expect(comparison).toBeNull();
  expect(routers?.map(({ routers: count, of }) => [count, of])).toEqual([
    [3, "nodes"],
    [20, "nodes"],
    [20, "inherited"],
  ]);
  for (const { loads, changeMs, failed } of routers ?? []) {
    expect(failed).toBe(0);
    expect(changeMs.median).toBeGreaterThan(0);
    expect(loads.map(({ connections }) => connections)).toEqual([1, 2]);
    for (const { perSecond, p50Ms } of loads) {
      expect(perSecond).toBeGreaterThan(0);
      expect(p50Ms).toBeGreaterThan(0);
    }
  }
});

test("the bench leaves no process behind when it is ended", async () => {
  const { child } = bench("local", "--seconds", "60");
  const closed = once(child, "close");
  const children = await eventually(() => {
    const found = childrenOf(child.pid as number);
    // The load, three subjects, and the reaper that would end them were the bench killed.
    expect(found.length).toBeGreaterThanOrEqual(5);
    return found;
  }, 30_000);
  child.kill("SIGTERM");
  const [code] = await closed;
  expect(code).toBe(128 + 15);
  await eventually(() => expect(children.filter(isRunning)).toEqual([]));
});

function childrenOf(parent: number): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const pairs = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.filter(([, ppid]) => ppid === parent).map(([pid]) => pid as number);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
