import { expect, test } from "vitest";
import { faultKinds, noFaults } from "./faults.ts";
import { type Outcome, runSchedule } from "./schedule.ts";

const full = process.env.MOORING_FULL === "1";
const only = process.env.SEED === undefined ? undefined : Number(process.env.SEED);

/** As long as it may take; a slow machine runs fewer schedules, but never less than the least. */
const runMs = (full ? 20 : 1) * 20_000;
const least = (full ? 20 : 1) * 1_000;
const most = (full ? 20 : 1) * 5_000;
/** What has to happen often, or the schedules show nothing of it. */
const planned = ["handed over", "come home", "cut", "passed on", "parked", "unparked"];
/** What of a failing schedule is printed. */
const lastLines = 250;

function traceOf(seed: number): string {
  const lines: string[] = [];
  runSchedule(seed, { counts: noFaults(), trace: (line) => lines.push(line) });
  return lines.slice(-lastLines).join("\n");
}

function expectSound({ seed, broken }: Outcome): void {
  if (broken === undefined) return;
  console.log(traceOf(seed));
  expect.fail(`${broken}. Again: SEED=${seed} npx vitest run test/simulation`);
}

test("no schedule of faults breaks a promise", { timeout: 6 * runMs + 60_000 }, async () => {
  const counts = noFaults();
  const began = performance.now();
  const sums = new Map<string, number>();
  let schedules = 0;
  let steps = 0;
  const first = only ?? 1;
  const last = only ?? most;
  for (let seed = first; seed <= last; seed++) {
    const outcome = runSchedule(seed, { counts });
    schedules += 1;
    steps += outcome.steps;
    for (const [what, many] of Object.entries(outcome.counts)) sums.set(what, (sums.get(what) ?? 0) + many);
    expectSound(outcome);
    // Microtasks of the schedule, which nobody waits for, go now rather than all at the end.
    if (seed % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (schedules >= least && performance.now() - began > runMs) break;
  }

  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  const totals = [...sums].map(([what, many]) => `${many} ${what}`).join(", ");
  const met = faultKinds.map((kind) => `  ${kind}: ${counts[kind].caused}, of which ${counts[kind].met} met something`);
  console.log([`${schedules} schedules, ${steps} steps in ${seconds} s: ${totals}`, ...met].join("\n"));
  if (only !== undefined) return;
  const often = schedules / 50;
  for (const kind of faultKinds) expect(counts[kind].met, `how often "${kind}" met something`).toBeGreaterThan(often);
  for (const what of planned) expect(sums.get(what), `how often a session was ${what}`).toBeGreaterThan(often);
});

test("a seed gives the same schedule again", () => {
  const outcomes = [1, 2].map(() => runSchedule(7, { counts: noFaults() }));
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(traceOf(8)).toBe(traceOf(8));
});
