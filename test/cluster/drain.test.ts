import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NodeView } from "../../src/admin/target.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { type Cluster, startCluster } from "./harness.ts";

/** A session, and where it lives. */
interface Held {
  readonly id: string;
  readonly node: string;
}

describe("mooring drain", () => {
  let cluster: Cluster;
  let sessions: readonly Held[];
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 });
  });
  afterAll(() => cluster?.stop());
  beforeEach(async () => {
    await cluster.mooring("drain", "node-1", "--cancel");
    await poolIs("node-1", "node-2", "node-3");
    sessions = await Promise.all(Array.from({ length: 12 }, begin));
  });

  /** A client without cookies begins a session at the edge. */
  async function begin(): Promise<Held> {
    const id = await initialize(cluster.mcp);
    return { id, node: cluster.nodes.find(({ tag }) => id.startsWith(`${tag}.`))?.name as string };
  }

  /** Calls a session through the edge; gives the node that served it. */
  async function where({ id }: Held): Promise<unknown> {
    const { status, body } = await call(cluster.mcp, id, "where");
    return status === 200 ? body.result?.structuredContent?.node : status;
  }

  /** Waits until new clients come to these nodes and no others. */
  async function poolIs(...names: string[]): Promise<void> {
    await cluster.waitFor(
      async () => {
        const begun = await Promise.all(Array.from({ length: 12 }, begin));
        return names.join() === [...new Set(begun.map(({ node }) => node))].sort().join();
      },
      { deadline: 10_000, what: `the pool to be ${names.join()}` },
    );
  }

  async function states(): Promise<string[]> {
    const { stdout } = await cluster.mooring("nodes", "--json");
    return (JSON.parse(stdout) as NodeView[]).map(({ name, state }) => `${name} ${state}`);
  }

  test("a node gets no new sessions and hands over those it has; with --cancel they come home", async () => {
    const before = sessions.filter(({ node }) => node === "node-1").length;
    expect(before).toBeGreaterThan(0);
    const { code, stdout } = await cluster.mooring("drain", "node-1", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: "node-1", state: "draining" });
    expect(await states()).toEqual(["node-1 draining", "node-2 up", "node-3 up"]);
    const admin = cluster.nodes[0]?.admin;
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    expect((await fetch(`${admin}/livez`)).status).toBe(200);

    await poolIs("node-2", "node-3");
    await cluster.waitFor(
      async () => {
        const served = await Promise.all(sessions.map(where));
        return (
          served.every((node, index) => node === sessions[index]?.node || sessions[index]?.node === "node-1") &&
          !served.includes("node-1")
        );
      },
      { deadline: 10_000, what: "node-1 to have handed its sessions over, and no other session to have moved" },
    );
    // Whoever comes nevertheless is served.
    const url = `${cluster.nodes[0]?.url}/mcp`;
    expect((await call(url, await initialize(url), "where")).status).toBe(200);

    await cluster.mooring("drain", "node-1", "--cancel");
    expect(await states()).toEqual(["node-1 up", "node-2 up", "node-3 up"]);
    await poolIs("node-1", "node-2", "node-3");
    await cluster.waitFor(
      async () => (await Promise.all(sessions.map(where))).join() === sessions.map(({ node }) => node).join(),
      { deadline: 15_000, what: "all sessions to be home" },
    );
  });

  test("while a node is taken out and put back, no call of any session fails", async () => {
    let going = true;
    const wrong: unknown[] = [];
    let calls = 0;
    const working = sessions.map(async (session) => {
      while (going) {
        const node = await where(session);
        calls += 1;
        if (typeof node !== "string") wrong.push(node);
      }
    });
    for (const cancel of [[], ["--cancel"]]) {
      await cluster.mooring("drain", "node-1", ...cancel);
      await poolIs(...(cancel.length === 0 ? [] : ["node-1"]), "node-2", "node-3");
    }
    going = false;
    await Promise.all(working);
    expect(wrong).toEqual([]);
    expect(calls).toBeGreaterThan(100);
  });

  test("any node's admin address does for every node", async () => {
    const through = cluster.nodes[2]?.admin as string;
    const drained = await cluster.mooring("drain", "node-1", "--url", through);
    expect(drained.stdout).toContain("Node node-1 is draining");
    expect(await states()).toEqual(["node-1 draining", "node-2 up", "node-3 up"]);
    const undone = await cluster.mooring("drain", "node-1", "--cancel", "--url", through);
    expect(undone.stdout).toContain("Node node-1 is up");
    expect(await states()).toEqual(["node-1 up", "node-2 up", "node-3 up"]);
  });

  test("a node that is not there is an error with the next step", async () => {
    const { code, stderr, logs } = await cluster.mooring("drain", "node-9", "--json");
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    expect(logs).toMatchObject([{ event: "command-failed", code: "unknown-node" }]);
    expect(String(logs[0]?.message)).toMatch(/node-9.*mooring nodes/);
  });
});
