import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { OwnersWatch } from "./owners-watch.ts";
import { WorkingSession } from "./working-session.ts";

const size = process.env.MOORING_FULL === "1" ? 60 : 12;
const leaseMs = 3_000;

let cluster: Cluster;
let watch: OwnersWatch;
let workers: WorkingSession[];
beforeEach(async () => {
  cluster = await startCluster({ nodes: 3, cuttableRedis: true, args: ["--lease", `${leaseMs}ms`] });
  watch = new OwnersWatch(cluster);
  workers = await Promise.all(Array.from({ length: size }, () => WorkingSession.start(cluster.mcp, 100)));
  await cluster.waitFor(() => workers.every(({ acknowledged }) => acknowledged.length >= 3), {
    deadline: 20_000,
    what: "every session to have counted",
  });
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await watch?.stop();
  await cluster?.stop();
});

const settle = async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await watch.stop();
};

/** The longest time between two good answers of one session. */
function longestSilence(worker: WorkingSession): number {
  const good = worker.outcomes.filter(({ value }) => value !== undefined).map(({ endedAt }) => endedAt);
  return Math.max(...good.slice(1).map((at, index) => at - (good[index] as number)));
}

describe("sessions are served all the time", () => {
  test("while Redis is frozen for 15 s", { timeout: 120_000 }, async () => {
    cluster.redis.freeze();
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    cluster.redis.thaw();
    await new Promise((resolve) => setTimeout(resolve, leaseMs + 1_000));
    await settle();
    expect(workers.flatMap((worker) => [...worker.faults(), ...worker.failures])).toEqual([]);
    const silences = workers.map(longestSilence);
    console.log(`longest silence ${Math.round(Math.max(...silences))} ms`);
    // The first call that finds out waits for one deadline.
    expect(Math.max(...silences)).toBeLessThan(2_500);
    expect(watch.faults).toEqual([]);
  });

  test("while it is killed, and comes back empty; a lease and a second later it knows them all again", {
    timeout: 120_000,
  }, async () => {
    await cluster.redis.kill();
    await new Promise((resolve) => setTimeout(resolve, 7_000));
    await cluster.redis.startAgain();
    const backAt = performance.now();
    const client = createClient({ url: cluster.redis.url });
    await client.connect();
    try {
      await cluster.waitFor(
        async () => {
          const found = await Promise.all(workers.map(({ id }) => client.exists(`mcp:session:{${id}}`)));
          return found.every((exists) => exists === 1);
        },
        { deadline: leaseMs + 1_000, what: "every session to be in Redis again" },
      );
      console.log(`whole after ${Math.round(performance.now() - backAt)} ms`);
    } finally {
      client.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, leaseMs));
    // What is in Redis now is whole: another node takes over from it.
    const dead = cluster.nodes[2]?.tag;
    const orphans = workers.filter(({ home }) => home === dead);
    expect(orphans.length).toBeGreaterThan(0);
    const killedAt = performance.now();
    await cluster.kill(2);
    await cluster.waitFor(() => orphans.every((worker) => worker.recoveredAfter(killedAt) < 1e9), {
      deadline: 20_000,
      what: "the sessions of the killed node to go on",
    });
    await settle();
    expect(workers.flatMap((worker) => worker.faults())).toEqual([]);
    expect(workers.flatMap(({ failures }) => failures).filter(({ sentAt }) => sentAt < killedAt - 1_000)).toEqual([]);
    expect(watch.faults).toEqual([]);
  });
});
