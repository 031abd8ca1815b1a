import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { ListChecks } from "../../src/session/list-checks.ts";
import { eventually } from "../support/eventually.ts";

let checks: ListChecks;

afterEach(() => checks.stop());

const gaveUp = (error: Error) => expect.unreachable(String(error));

test("what came at once is looked at one after another, after a pause, and the event loop hardly notices", async () => {
  checks = new ListChecks({ pauseMs: 50, betweenMs: 1 });
  const began = performance.now();
  const at: number[] = [];
  const order: number[] = [];
  for (let number = 0; number < 100; number += 1) {
    const check = async () => {
      at.push(performance.now() - began);
      order.push(number);
    };
    checks.add({ check, gaveUp });
  }
  await eventually(() => expect(order).toHaveLength(100));
  expect(order).toEqual(Array.from({ length: 100 }, (_, number) => number));
  expect(at[0]).toBeGreaterThan(45);
  expect((at[99] as number) - (at[0] as number)).toBeGreaterThan(90);
});

test("servers that take their time hold up only so many at once, and no others for good", async () => {
  checks = new ListChecks({ pauseMs: 0, betweenMs: 0 });
  let underWay = 0;
  let most = 0;
  let over = 0;
  for (let number = 0; number < 40; number += 1) {
    const check = async () => {
      underWay += 1;
      most = Math.max(most, underWay);
      await sleep(10);
      underWay -= 1;
      over += 1;
    };
    checks.add({ check, gaveUp });
  }
  await eventually(() => expect(over).toBe(40));
  expect(most).toBe(8);
});

test("a server that doesn't answer is asked again later, and given up after the third time; others don't wait", async () => {
  checks = new ListChecks({ pauseMs: 1, betweenMs: 1, againMs: 100 });
  const events: string[] = [];
  const check = (name: string, failures: number) => ({
    check: async () => {
      events.push(name);
      if (events.filter((event) => event === name).length <= failures) throw new Error("no answer");
    },
    gaveUp: (error: Error) => events.push(`${name}: ${error.message}`),
  });
  checks.add(check("never", 9));
  checks.add(check("later", 1));
  checks.add(check("at once", 0));
  await eventually(() => expect(events.slice(0, 3)).toEqual(["never", "later", "at once"]));
  // One that comes while the others rest.
  checks.add(check("late", 0));
  await eventually(() => expect(events).toContain("never: no answer"));
  expect(events.slice(3)).toEqual(["late", "never", "later", "never", "never: no answer"]);
});

test("nothing begins after the end", async () => {
  checks = new ListChecks({ pauseMs: 1, betweenMs: 1 });
  let begun = 0;
  const check = async () => {
    begun += 1;
  };
  checks.add({ check, gaveUp });
  checks.stop();
  checks.add({ check, gaveUp });
  await sleep(20);
  expect(begun).toBe(0);
});
