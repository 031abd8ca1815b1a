import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { environmentName } from "../../src/model/read-settings.ts";
import { settingSpecs } from "../../src/model/settings.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";

const read = (file: string) => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), "utf8");
const operations = read("docs/operations.md");

/** What stands in the first column of the tables of a section, word by word. */
function named(section: string): string[] {
  const [text = ""] = new RegExp(`^## ${section}$.*?(?=^## )`, "ms").exec(operations) ?? [];
  const cells = [...text.matchAll(/^\| (`[^|]*) \|/gm)].map(([, cell = ""]) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`{]+)[^`]*`/g)].map(([, word = ""]) => word));
}

test("every log event is documented, and once", () => {
  const [, union = ""] = /LogEvent =(.*?);/s.exec(read("src/ports/log.ts")) ?? [];
  const events = [...union.matchAll(/"([a-z-]+)"/g)].map(([, event = ""]) => event);
  expect(events.length).toBeGreaterThan(50);
  expect(named("Logs").sort()).toEqual(events.sort());
});

test("every metric is documented, and once", async () => {
  const { body } = await new NodeMetrics().text();
  const metrics = [...body.matchAll(/^# TYPE (\w+)/gm)].map(([, name = ""]) => name);
  expect(metrics).not.toEqual([]);
  expect(named("Metrics").sort()).toEqual(metrics.sort());
});

test("every setting is documented with its variable", () => {
  const rows = settingSpecs.map(({ flag }) => `| \`--${flag}\` | \`${environmentName(flag)}\` |`);
  expect(rows.filter((row) => !operations.includes(row))).toEqual([]);
});
