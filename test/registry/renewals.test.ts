import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Renewals } from "../../src/registry/renewals.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { FailingRegistry } from "./failing-registry.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };

describe("renewals", () => {
  let registry: FailingRegistry;
  let log: RecordedLog;
  let renewals: Renewals;

  beforeEach(async () => {
    registry = new FailingRegistry();
    await registry.start();
    log = new RecordedLog();
    renewals = new Renewals({ registry, log });
  });
  afterEach(async () => {
    await renewals.stop();
  });

  async function claim(id: string): Promise<void> {
    await registry.claim({ id, owner, epoch: 1, createdAt: 0 });
    registry.calls.length = 0;
  }

  test("cost no registry call when a session is used, and one per 500 sessions when they are due", async () => {
    for (let index = 0; index < 1_200; index += 1) await claim(`s${index}`);
    for (let use = 0; use < 3; use += 1) {
      for (let index = 0; index < 1_200; index += 1) renewals.touched(`s${index}`);
    }
    expect(registry.calls).toEqual([]);
    await renewals.renew();
    expect(registry.calls).toEqual(["renew 500", "renew 500", "renew 200"]);
    expect(log.lines).toEqual([]);
    await renewals.renew();
    expect(registry.calls).toHaveLength(3);
  });

  test("never create a session: those that are missing are logged, and told together", async () => {
    const told: (readonly string[])[] = [];
    await renewals.stop();
    renewals = new Renewals({ registry, log, onMissing: (ids) => told.push(ids) });
    await claim("present");
    for (const id of ["present", "missing", "gone"]) renewals.touched(id);
    await renewals.renew();
    expect(log.of("registry-entry-missing")).toEqual([{ session: "missing" }, { session: "gone" }]);
    expect(told).toEqual([["missing", "gone"]]);
    expect(await registry.find("missing")).toBeUndefined();
    renewals.touched("present");
    await renewals.renew();
    expect(told).toHaveLength(1);
  });

  test("leave out a session that ended, also one that ends while they run", async () => {
    renewals.touched("ended before");
    renewals.touched("ends meanwhile");
    renewals.forget("ended before");
    const running = renewals.renew();
    renewals.forget("ends meanwhile");
    await running;
    expect(registry.calls).toEqual(["renew 1"]);
    expect(log.lines).toEqual([]);
  });

  test("that fail are made up for the next time", async () => {
    await claim("a");
    renewals.touched("a");
    registry.failure = "unavailable";
    await renewals.renew();
    registry.failure = undefined;
    await renewals.renew();
    expect(registry.calls).toEqual(["renew 1", "renew 1"]);
  });

  test("happen by themselves, again and again, until they are stopped", async () => {
    const often = new Renewals({ registry, log, renewEveryMs: 10 });
    await claim("a");
    for (let round = 1; round <= 3; round += 1) {
      often.touched("a");
      await eventually(() => expect(registry.calls).toHaveLength(round));
    }
    await often.stop();
    often.touched("a");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(registry.calls).toHaveLength(3);
  });
});
