import { expect, test } from "vitest";
import { MisrouteSample } from "../../src/node/misroute-sample.ts";
import { SessionTable } from "../../src/node/session-table.ts";
import { UnreachableSample } from "../../src/node/unreachable-sample.ts";
import type { Session } from "../../src/session/session.ts";

test("a node remembers at most ten thousand endings, the newest", () => {
  const table = new SessionTable();
  for (let n = 0; n < 10_001; n += 1) {
    table.add({ id: `${n}` } as Session);
    table.end(`${n}`, "closed", 0);
  }
  expect(table.size).toBe(0);
  expect([table.ending("0", 0), table.ending("1", 0), table.ending("10000", 0)]).toEqual([
    undefined,
    "closed",
    "closed",
  ]);
});

test("a node counts the misroutes of at most ten thousand sessions; one that was forgotten is logged anew", () => {
  const sample = new MisrouteSample();
  expect([sample.count("first"), sample.count("first")]).toEqual([1, undefined]);
  for (let n = 0; n < 10_000; n += 1) expect(sample.count(`${n}`)).toBe(1);
  expect(sample.count("first")).toBe(1);
});

test("a node that can't be reached is logged at once, then once in ten seconds with how often it was so", () => {
  const sample = new UnreachableSample();
  expect(sample.count("one", 0)).toBe(1);
  for (let ms = 50; ms < 10_000; ms += 50) expect(sample.count("one", ms)).toBeUndefined();
  expect(sample.count("two", 5_000)).toBe(1);
  expect(sample.count("one", 10_000)).toBe(200);
  expect(sample.count("one", 10_050)).toBeUndefined();
});

test("a node counts the failures to reach at most a thousand others; one that was forgotten is logged anew", () => {
  const sample = new UnreachableSample();
  for (let n = 0; n < 1_001; n += 1) sample.count(`${n}`, 0);
  expect([sample.count("1000", 1), sample.count("0", 1)]).toEqual([undefined, 1]);
});
