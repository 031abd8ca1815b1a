import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NodeView } from "../../src/admin/target.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { type Cluster, startCluster } from "./harness.ts";

/** A step as `mooring restart --json` prints it. */
interface Step extends Partial<NodeView> {
  readonly event: "restarting" | "draining" | "ended" | "restarted";
  readonly name: string;
}

/** In the order of the file: the last one leaves the cluster without a node. */
describe("mooring restart, without --restart of mooring up", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 });
  });
  afterAll(() => cluster?.stop());

  const pids = () => cluster.nodes.map(({ pid }) => pid);

  async function restart(...args: string[]): Promise<Step[]> {
    const { code, stdout, logs, stderr } = await cluster.mooring("restart", ...args, "--json");
    expect({ code, logs, stderr }).toEqual({ code: 0, logs: [], stderr: "" });
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Step);
  }

  async function nodes(): Promise<NodeView[]> {
    return JSON.parse((await cluster.mooring("nodes", "--json")).stdout) as NodeView[];
  }

  test("one node is started again, and its sessions go on with what they had", async () => {
    const mcp = `${cluster.nodes[1]?.url}/mcp`;
    const session = await initialize(mcp);
    await call(mcp, session, "count");
    const before = pids();
    const steps = await restart("node-2");
    expect(steps.filter(({ event }) => event !== "draining").map(({ event, name }) => `${event} ${name}`)).toEqual([
      "restarting node-2",
      "ended node-2",
      "restarted node-2",
    ]);
    expect(steps[0]).toMatchObject({ pid: before[1], drainDeadline: 30_000 });
    expect(steps.at(-1)).toMatchObject({ state: "up", ms: expect.any(Number) });
    expect(pids()).toEqual([before[0], steps.at(-1)?.pid, before[2]]);
    expect(pids()[1]).not.toBe(before[1]);
    expect((await fetch(`${cluster.nodes[1]?.admin}/readyz`)).status).toBe(200);
    const counted = await call(cluster.mcp, session, "count");
    expect(counted.body.result?.structuredContent).toMatchObject({ value: 2 });
    // It was no accident.
    const exits = cluster.logs().filter(({ event }) => event === "process-exited");
    expect(exits).toMatchObject([{ level: "info", process: "node-2", exit: "exit status 0" }]);
  });

  test("--rolling restarts all of them, one after another, by the address of any of them", async () => {
    const before = pids();
    const steps = await restart("--rolling", "--url", cluster.nodes[0]?.admin ?? "");
    const order = steps.filter(({ event }) => event === "restarting" || event === "restarted");
    expect(order.map(({ event, name }) => `${event} ${name}`)).toEqual(
      ["node-1", "node-2", "node-3"].flatMap((name) => [`restarting ${name}`, `restarted ${name}`]),
    );
    expect((await nodes()).map(({ state, pid }) => ({ state, isNew: !before.includes(pid) }))).toEqual(
      Array(3).fill({ state: "up", isNew: true }),
    );
  });

  test("a person sees on stderr how far it is, and on stdout what came of it, also while nothing can be noted", async () => {
    // As on a full disk: the draft of the new note can't be written.
    const draft = join(await cluster.stateFolder(), ".cluster.json");
    await mkdir(draft);
    const { code, stdout, stderr } = await cluster.mooring("restart", "node-3");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Node node-3 restarted in \d+\.\d s: pid \d+ after \d+\.\n$/);
    expect(stderr).toMatch(/^Node node-3 \(pid \d+\) ends; it has \d+ sessions?\.\n/);
    await cluster.waitForLog("cluster-not-noted");
    expect((await nodes()).map(({ state }) => state)).toEqual(["up", "up", "up"]);
    await rmdir(draft);
  });

  test("a node that nobody asked to restart stays down, and no rolling restart begins then", async () => {
    const before = pids();
    await cluster.stopNode(0);
    const rolling = await cluster.mooring("restart", "--rolling", "--json");
    expect({ code: rolling.code, stdout: rolling.stdout }).toEqual({ code: 1, stdout: "" });
    expect(rolling.logs).toMatchObject([{ event: "command-failed", code: "node-down" }]);
    expect(String(rolling.logs[0]?.message)).toMatch(/No node was restarted, because node-1 is down/);
    const one = await cluster.mooring("restart", "node-1", "--json");
    expect(one.logs).toMatchObject([
      { code: "node-not-told", message: expect.stringMatching(/it is down\..*--restart/) },
    ]);
    expect((await nodes()).map(({ state }) => state)).toEqual(["down", "up", "up"]);
    expect(pids()).toEqual(before);
  });
});
