import { expect, test } from "vitest";
import { Turns } from "../../src/node/turns.ts";
import { eventually } from "../support/eventually.ts";

/** Something that is busy until it is told to end. */
function busy(turns: Turns) {
  let end: () => void = () => {};
  const act = { begun: false, end: () => end(), done: Promise.resolve() };
  const ending = new Promise<void>((resolve) => {
    end = resolve;
  });
  act.done = turns.run(async () => {
    act.begun = true;
    await ending;
  });
  return act;
}

test("so many are busy at a time, and the others follow in the order in which they came", async () => {
  const turns = new Turns(2, 10_000);
  const acts = Array.from({ length: 4 }, () => busy(turns));
  const begun = () => acts.map((act) => act.begun);
  expect(begun()).toEqual([true, true, false, false]);
  acts[1]?.end();
  await eventually(() => expect(begun()).toEqual([true, true, true, false]));
  acts[0]?.end();
  acts[2]?.end();
  acts[3]?.end();
  await Promise.all(acts.map(({ done }) => done));
  expect(busy(turns).begun).toBe(true);
});

test("one that fails frees its place", async () => {
  const turns = new Turns(1, 10_000);
  await expect(turns.run(() => Promise.reject(new Error("no disk")))).rejects.toThrow("no disk");
  expect(busy(turns).begun).toBe(true);
});

test("one that never ends is not waited for for ever", async () => {
  const turns = new Turns(1, 20);
  const [hung, next, last] = [busy(turns), busy(turns), busy(turns)];
  await eventually(() => expect(next.begun).toBe(true));
  // It ends after all, and frees no second place.
  hung.end();
  await hung.done;
  expect(last.begun).toBe(false);
  next.end();
  await eventually(() => expect(last.begun).toBe(true));
});
