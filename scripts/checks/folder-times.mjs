// A reporter for vitest: how long the tests of each folder take, and how many there are.
import { writeFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { seconds } from "./run-step.mjs";

export default class FolderTimes {
  onTestRunEnd(modules, unhandledErrors) {
    const folders = new Map();
    for (const module of modules) {
      const folder = dirname(relative(process.cwd(), module.moduleId));
      const sum = folders.get(folder) ?? { passed: 0, failed: 0, notRun: 0, ms: 0 };
      folders.set(folder, add(sum, module));
    }
    const rows = [...folders].sort(([, a], [, b]) => b.ms - a.ms);
    console.log("\nTime of each test folder:");
    for (const [folder, { passed, failed, notRun, ms }] of rows) {
      const rest = `${failed > 0 ? `, ${failed} failed` : ""}${notRun > 0 ? `, ${notRun} not run` : ""}`;
      console.log(`  ${folder.padEnd(24)} ${seconds(ms).padStart(11)}  ${passed} passed${rest}`);
    }
    const passed = rows.reduce((sum, [, row]) => sum + row.passed, 0);
    const failed = rows.reduce((sum, [, row]) => sum + row.failed, unhandledErrors.length);
    const file = process.env.MOORING_TEST_SUMMARY;
    if (file !== undefined) writeFileSync(file, JSON.stringify({ passed, failed }));
  }
}

/** Adds what a test file's results say to its folder's sum. */
function add(sum, module) {
  const { duration, collectDuration, prepareDuration, environmentSetupDuration, setupDuration } = module.diagnostic();
  const next = {
    ...sum,
    ms: sum.ms + duration + collectDuration + prepareDuration + environmentSetupDuration + setupDuration,
  };
  let failures = 0;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === "passed") next.passed += 1;
    else if (state === "failed") failures += 1;
    else next.notRun += 1;
  }
  // A file that cannot be loaded, or whose hooks fail, has no failed test.
  next.failed += failures === 0 && module.state() === "failed" ? 1 : failures;
  return next;
}
