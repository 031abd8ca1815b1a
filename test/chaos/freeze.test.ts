import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { OwnersWatch } from "./owners-watch.ts";
import { WorkingSession } from "./working-session.ts";

let cluster: Cluster;
let watch: OwnersWatch;
beforeEach(async () => {
  cluster = await startCluster({ nodes: 3, args: ["--lease", "3s"] });
  watch = new OwnersWatch(cluster);
});
afterEach(async () => {
  await watch?.stop();
  await cluster?.stop();
});

const at = (index: number) => `${cluster.nodes[index]?.url}/mcp`;

describe("a node that is frozen for longer than its lease", () => {
  test("serves nothing that was adopted meanwhile, from the moment it thaws", { timeout: 90_000 }, async () => {
    const sessions = await Promise.all([1, 2, 3, 4, 5, 6].map(() => initialize(at(0))));
    for (const session of sessions)
      expect((await call(at(0), session, "count")).body.result?.structuredContent?.value).toBe(1);
    // What it gets while it is frozen lies in its socket, to be taken before any of its timers.
    cluster.freeze(0);
    const late = sessions.map((session) => call(at(0), session, "where", {}, 77));
    // Held until the lease is over, then adopted.
    for (const session of sessions) {
      const { body } = await call(at(1), session, "count", {}, 2);
      expect(body.result?.structuredContent).toMatchObject({ value: 2, node: cluster.nodes[1]?.name });
    }
    cluster.thaw(0);
    for (const answer of await Promise.all(late)) {
      // Passed on to the node that has it now.
      expect(answer.body.result?.structuredContent).toMatchObject({ node: cluster.nodes[1]?.name, epoch: 2 });
    }
    for (const session of sessions) {
      const { body } = await call(at(0), session, "count", {}, 3);
      expect(body.result?.structuredContent).toMatchObject({ value: 3, node: cluster.nodes[1]?.name });
    }
    await watch.stop();
    expect(watch.faults).toEqual([]);
  });

  test("keeps its sessions if nobody asked for them meanwhile", { timeout: 90_000 }, async () => {
    const session = await initialize(at(0));
    expect((await call(at(0), session, "count")).body.result?.structuredContent?.value).toBe(1);
    cluster.freeze(0);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    cluster.thaw(0);
    await cluster.waitFor(
      async () => (await call(at(0), session, "count", {}, 2)).body.result?.structuredContent?.value === 2,
      {
        deadline: 10_000,
        what: "the session to be taken up again",
      },
    );
  });

  test("costs sessions of other nodes nothing", { timeout: 90_000 }, async () => {
    const workers = await Promise.all([1, 2, 1, 2].map((index) => WorkingSession.start(at(index), 50)));
    cluster.freeze(0);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    cluster.thaw(0);
    await Promise.all(workers.map((worker) => worker.stop()));
    expect(workers.flatMap((worker) => [...worker.faults(), ...worker.failures])).toEqual([]);
  });
});
