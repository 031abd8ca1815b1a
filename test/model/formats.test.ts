import { expect, test } from "vitest";
import { canRead, type FormatRange, formatToWrite, ownFormats } from "../../src/model/formats.ts";

const first = { oldest: 1, newest: 1 };
const second = { oldest: 1, newest: 2 };
const third = { oldest: 2, newest: 3 };

test.each<[FormatRange | undefined, number | undefined, boolean]>([
  [undefined, undefined, true],
  [undefined, 2, false],
  [first, undefined, true],
  [second, 1, true],
  [second, 2, true],
  [second, 3, false],
  [third, undefined, false],
  [third, 2, true],
])("who reads %o reads format %o: %o", (reads, format, wanted) => {
  expect(canRead(reads, format)).toBe(wanted);
});

test.each<[string, FormatRange, readonly (FormatRange | undefined)[], number]>([
  ["alone it is the newest", second, [], 2],
  ["among equals too", second, [second, second], 2],
  ["an older member keeps it down", second, [second, first], 1],
  ["and so does one that says nothing", second, [undefined], 1],
  ["newer members don't: what they read is theirs to say", first, [third, second], 1],
  ["two changes behind nobody is waited for", third, [first, third], 2],
])("the format in which sessions begin: %s", (_name, own, members, wanted) => {
  const format = formatToWrite(
    own,
    members.map((reads) => ({ reads })),
  );
  expect(format).toBe(wanted);
  expect(canRead(own, format)).toBe(true);
});

test("through a change of format, node by node and back, every member reads what any member begins", () => {
  const steps = [
    [first, first, first],
    [first, first, second],
    [first, second, second],
    [second, second, second],
  ];
  for (const members of [...steps, ...steps.toReversed()]) {
    for (const [index, own] of members.entries()) {
      const others = members.filter((_, other) => other !== index).map((reads) => ({ reads }));
      for (const reads of members) expect(canRead(reads, formatToWrite(own, others))).toBe(true);
    }
  }
});

test("this version reads what it writes", () => {
  expect(canRead(ownFormats, formatToWrite(ownFormats, []))).toBe(true);
});
