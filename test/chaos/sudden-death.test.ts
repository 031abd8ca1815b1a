import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { initialize } from "../support/raw-mcp.ts";
import { AppendingSessions } from "./appending-sessions.ts";
import { OwnersWatch } from "./owners-watch.ts";
import { spread, WorkingSession } from "./working-session.ts";

const size = process.env.MOORING_FULL === "1" ? 200 : 45;

let cluster: Cluster;
let folder: string;
let watch: OwnersWatch;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-chaos-"));
  cluster = await startCluster({
    nodes: 3,
    args: ["--ledger", "strict"],
    env: { YARDSTICK_LOG: join(folder, "lines") },
  });
  watch = new OwnersWatch(cluster);
});
afterEach(async () => {
  await watch?.stop();
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("the sudden death of a node under load", () => {
  test("costs its sessions a moment, and nothing that was acknowledged", { timeout: 120_000 }, async () => {
    const sessions = await Promise.all(Array.from({ length: size }, () => WorkingSession.start(cluster.mcp, 100)));
    await cluster.waitFor(() => sessions.every(({ acknowledged }) => acknowledged.length >= 5), {
      deadline: 30_000,
      what: "every session to have counted",
    });
    const dead = cluster.nodes[0]?.tag;
    const killedAt = performance.now();
    await cluster.kill(0);
    const orphans = sessions.filter(({ home }) => home === dead);
    await cluster.waitFor(() => sessions.every((session) => session.recoveredAfter(killedAt + 1_000) < 1e9), {
      deadline: 30_000,
      what: "every session to count again",
    });
    await Promise.all(sessions.map((session) => session.stop()));

    const { p50, max } = spread(orphans.map((session) => session.recoveredAfter(killedAt)));
    console.log(
      `${orphans.length} sessions of the dead node: next good call p50 ${Math.round(p50)} ms, max ${Math.round(max)} ms`,
    );
    expect(orphans.length).toBeGreaterThan(size / 6);
    expect(p50).toBeLessThanOrEqual(1_000);
    expect(max).toBeLessThanOrEqual(2_500);
    expect(sessions.flatMap((session) => session.faults())).toEqual([]);
    // The calls that were at the node in the moment of its death, and no others.
    const failures = sessions.flatMap(({ failures }) => failures);
    expect(failures.filter(({ status }) => status !== 502)).toEqual([]);
    for (const { sentAt, endedAt } of failures) expect(endedAt - sentAt).toBeLessThan(1_000);
    expect(sessions.filter((session) => session.failures.length > 1)).toEqual([]);
    await watch.stop();
    expect(watch.faults).toEqual([]);
    expect(watch.looks).toBeGreaterThan(5);
  });

  // Noted before it runs: without that a call that its client sends again may run twice if the node dies within 20 ms.
  test("never runs a call twice, also if its client sends it again", { timeout: 120_000 }, async () => {
    const ids = await Promise.all(Array.from({ length: size }, () => initialize(cluster.mcp)));
    const appending = new AppendingSessions(cluster.mcp, ids);
    const { acknowledged } = appending;
    await cluster.waitFor(() => acknowledged.length > size * 3, { deadline: 30_000, what: "lines" });
    await cluster.kill(1);
    const before = acknowledged.length;
    await cluster.waitFor(() => acknowledged.length > before + size * 3, { deadline: 30_000, what: "more lines" });
    await appending.stop();
    expect(await appending.faults(join(folder, "lines"))).toEqual([]);
  });
});
