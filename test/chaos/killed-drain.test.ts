import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { initialize } from "../support/raw-mcp.ts";
import { AppendingSessions } from "./appending-sessions.ts";
import { OwnersWatch } from "./owners-watch.ts";
import { spread, WorkingSession } from "./working-session.ts";

const size = process.env.MOORING_FULL === "1" ? 200 : 40;

let cluster: Cluster;
let folder: string;
let watch: OwnersWatch;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-chaos-"));
  cluster = await startCluster({
    nodes: 3,
    // So that a drain takes four seconds.
    args: ["--ledger", "strict", "--drain-pace", String(size / 4)],
    env: { YARDSTICK_LOG: join(folder, "lines") },
  });
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  watch = new OwnersWatch(cluster);
});
afterEach(() => watch?.stop());

/** Sessions at work whose home is one node. */
class Sessions {
  readonly counting: readonly WorkingSession[];
  readonly appending: AppendingSessions;

  static async at(index: number): Promise<Sessions> {
    const home = `${cluster.nodes[index]?.url}/mcp`;
    const begun = await Promise.all(Array.from({ length: size }, () => initialize(home)));
    const appending = new AppendingSessions(cluster.mcp, begun.splice(size / 2));
    const sessions = new Sessions(
      begun.map((id) => new WorkingSession(cluster.mcp, id, 50)),
      appending,
    );
    await cluster.waitFor(() => sessions.counting.every(({ acknowledged }) => acknowledged.length >= 3), {
      deadline: 30_000,
      what: "every session to have counted",
    });
    return sessions;
  }

  constructor(counting: readonly WorkingSession[], appending: AppendingSessions) {
    this.counting = counting;
    this.appending = appending;
  }

  /** All are served again, soon after a node was killed; nothing that was acknowledged is lost, and no call ran twice. */
  async expectWhole(killedAt: number): Promise<void> {
    const before = this.appending.acknowledged.length;
    await cluster.waitFor(
      () =>
        this.counting.every((session) => session.recoveredAfter(killedAt + 1_000) < 1e9) &&
        this.appending.acknowledged.length > before + 3 * size,
      { deadline: 30_000, what: "every session to be served again" },
    );
    await Promise.all([...this.counting, this.appending].map((session) => session.stop()));
    const { p50, max } = spread(this.counting.map((session) => session.recoveredAfter(killedAt)));
    const failed = this.counting.flatMap(({ failures }) => failures);
    console.log(`next good call p50 ${Math.round(p50)} ms, max ${Math.round(max)} ms; ${failed.length} calls failed`);
    expect(max).toBeLessThanOrEqual(2_500);
    expect(this.counting.flatMap((session) => session.faults())).toEqual([]);
    // The calls that were at the node in the moment of its death, and no others.
    expect(failed.filter(({ status, sentAt }) => status !== 502 || sentAt > killedAt + 500)).toEqual([]);
    expect(this.counting.filter((session) => session.failures.length > 1)).toEqual([]);
    expect(await this.appending.faults(join(folder, "lines"))).toEqual([]);
    await watch.stop();
    expect(watch.faults).toEqual([]);
  }
}

/** How many sessions a node has taken, or handed over. */
function moved(event: "session-taken" | "session-handed-over", index: number): number {
  return cluster.logs().filter((line) => line.event === event && line.node === cluster.nodes[index]?.name).length;
}

/** In the order of the file: each test loses a node. */
describe("in the middle of a drain", () => {
  test("the death of a node that takes sessions loses nothing", { timeout: 120_000 }, async () => {
    const sessions = await Sessions.at(0);
    const drained = cluster.drain(0);
    await cluster.waitFor(() => moved("session-taken", 1) >= 5, { deadline: 10_000, what: "node-2 to take sessions" });
    // Those that it is offered from now on are on their way to it when it dies.
    cluster.freeze(1);
    await sleep(100);
    const killedAt = performance.now();
    await cluster.kill(1);
    await sessions.expectWhole(killedAt);
    await drained;
    expect(moved("session-taken", 1)).toBeLessThan(size / 2);
  });

  test("nor does the death of the node that drains", { timeout: 120_000 }, async () => {
    await cluster.undrain(0);
    const sessions = await Sessions.at(2);
    const drained = cluster.mooring("drain", "node-3", "--json");
    await cluster.waitFor(() => moved("session-handed-over", 2) >= 5, { deadline: 10_000, what: "node-3 to drain" });
    const killedAt = performance.now();
    await cluster.kill(2);
    expect(moved("session-handed-over", 2)).toBeLessThan(size);
    await sessions.expectWhole(killedAt);
    expect((await drained).code).toBe(1);
  });
});
