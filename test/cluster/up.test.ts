import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, fetch } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Cluster, readyLine, startCluster } from "./harness.ts";
import { MooringProcess } from "./mooring-process.ts";
import { expectGone, living, processesOf } from "./processes.ts";
import { chosenPorts } from "./taken-ports.ts";

const initialize = {
  method: "POST",
  headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
  }),
} as const;

describe("a running cluster", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ server: "trips" });
  });
  afterAll(() => cluster?.stop());

  test("says in its ready line where everything is", () => {
    const url = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/);
    const pid = expect.any(Number);
    const node = (name: string) => ({ name, tag: expect.stringMatching(/^[0-9a-z]{6}$/), pid, url, admin: url });
    expect(cluster.ready).toEqual({
      event: "ready",
      mcp: expect.stringMatching(/^http:\/\/localhost:\d+\/mcp$/),
      mcps: expect.stringMatching(/^https:\/\/localhost:\d+\/mcp$/),
      graphql: expect.stringMatching(/^http:\/\/localhost:\d+\/graphql$/),
      console: url,
      ca: expect.stringMatching(/^\/.*\.pem$/),
      traefik: { pid, version: "3.7.15", api: url },
      redis: { url: expect.stringMatching(/^redis:\/\/127\.0\.0\.1:\d+$/), pid },
      nodes: [node("node-1"), node("node-2"), node("node-3")],
    });
    const pids = processesOf(cluster.ready);
    expect(new Set(pids).size).toBe(5);
    expect(living(pids)).toEqual(pids);
  });

  test("serves at once when it says so: MCP over HTTP and HTTPS, GraphQL, the console", async () => {
    const agent = new Agent({ connect: { ca: readFileSync(cluster.ca) } });
    for (const url of [cluster.mcp, cluster.mcps]) {
      const answer = await fetch(url, { ...initialize, dispatcher: agent });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("mcp-session-id")).toMatch(/^[0-9a-z]{6}\.[\w-]{22,}$/);
      await answer.text();
    }
    const graphql = await fetch(`${cluster.graphql}?query=%7B__typename%7D`, { dispatcher: agent });
    expect(await graphql.json()).toEqual({ data: { __typename: "Query" } });
    const page = await fetch(cluster.console, { dispatcher: agent });
    expect(await page.text()).toContain("Mooring local cluster");
    await agent.close();
  });

  test("names no GraphQL for a module without it", async () => {
    const other = await startCluster({ server: "yardstick", nodes: 1 });
    expect(other.ready).not.toHaveProperty("graphql");
    expect(await other.stop()).toBe(0);
  });
});

describe("when a node dies", () => {
  let cluster: Cluster;
  afterEach(() => cluster?.stop());

  test("the edge is told at once, and the others go on", async () => {
    cluster = await startCluster({});
    const session = await fetch(cluster.mcp, initialize);
    await session.text();
    await cluster.kill(1);
    await cluster.waitForLog("edge-published", ({ up }) => String(up) === "node-1,node-3", 5_000);
    for (let count = 0; count < 6; count += 1) {
      const answer = await fetch(cluster.mcp, initialize);
      expect(answer.status).toBe(200);
      await answer.text();
    }
    const { stdout } = await cluster.mooring("nodes", "--json");
    const states = (JSON.parse(stdout) as { name: string; state: string }[]).map(({ name, state }) => [name, state]);
    expect(states).toEqual([
      ["node-1", "up"],
      ["node-2", "down"],
      ["node-3", "up"],
    ]);
  });

  test("--restart starts it again, under its name and at its address", async () => {
    cluster = await startCluster({ nodes: 2, args: ["--restart"] });
    const before = { ...cluster.nodes[0] };
    await cluster.kill(0);
    await cluster.waitForLog("edge-published", ({ up }) => String(up) === "node-2", 5_000);
    // It waits for the lease of its former life to be over.
    const published = () => cluster?.logs().filter(({ event }) => event === "edge-published") ?? [];
    await cluster.waitFor(() => String(published().at(-1)?.up) === "node-1,node-2", {
      deadline: 20_000,
      what: "the edge to have it in the pool again",
    });
    const after = cluster.nodes[0];
    expect(after).toEqual({ ...before, pid: expect.any(Number) });
    expect(after?.pid).not.toBe(before.pid);
    const answer = await fetch(`${after?.url}/mcp`, initialize);
    expect(answer.status).toBe(200);
    await answer.text();
    const { stdout } = await cluster.mooring("nodes", "--json");
    expect(JSON.parse(stdout)).toMatchObject([
      { name: "node-1", state: "up", pid: after?.pid },
      { name: "node-2", state: "up" },
    ]);
  });
});

describe("when it ends", () => {
  let state: string;
  let args: readonly string[];
  let up: MooringProcess | undefined;
  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), "mooring-test-"));
    args = ["up", "--json", "--nodes", "2", "--server", "yardstick", ...(await chosenPorts(2))];
  });
  afterEach(async () => {
    up?.signal("SIGKILL");
    await rm(state, { recursive: true, force: true });
  });

  async function start(): Promise<number[]> {
    up = new MooringProcess(args, { XDG_STATE_HOME: state });
    return processesOf(await readyLine(up));
  }

  test.each(["SIGTERM", "SIGINT"] as const)(
    "by %s, it leaves no process, no port and no file behind",
    async (signal) => {
      const pids = await start();
      // A frozen node is ended like the others.
      process.kill(pids.at(-1) as number, "SIGSTOP");
      up?.signal(signal);
      expect(await up?.exit(15_000)).toBe(0);
      expect(living(pids)).toEqual([]);
      expect(await readdir(join(state, "mooring"))).toEqual([]);
      const again = await start();
      up?.signal(signal);
      expect(await up?.exit(15_000)).toBe(0);
      expect(living(again)).toEqual([]);
    },
  );

  test("by SIGKILL, its processes end too, and it starts again at once on the same ports", async () => {
    const pids = await start();
    process.kill(pids.at(-1) as number, "SIGSTOP");
    up?.signal("SIGKILL");
    expect(await up?.exit(5_000)).toBe("SIGKILL");
    const again = await start();
    expect(living(pids)).toEqual([]);
    expect(living(again)).toEqual(again);
    // What the killed one left is removed.
    expect(await readdir(join(state, "mooring"))).toHaveLength(1);
    up?.signal("SIGTERM");
    expect(await up?.exit(15_000)).toBe(0);
  });

  test("before it is ready, what has started by then is ended", async () => {
    up = new MooringProcess(args, { XDG_STATE_HOME: state });
    const pids: number[] = [];
    up.onLog(({ event, pid }) => {
      if (event === "process-started") pids.push(pid as number);
    });
    await eventually(() => expect(pids, up?.told()).not.toEqual([]), 30_000);
    up.signal("SIGTERM");
    expect(await up.exit(15_000)).toBe(0);
    await expectGone(pids, 1_000);
    expect(up.stdout).toBe("");
    expect(await readdir(join(state, "mooring"))).toEqual([]);
  });

  test("by the death of its Traefik, without which nobody is served, it says so", async () => {
    const pids = await start();
    process.kill(pids[0] as number, "SIGKILL");
    expect(await up?.exit(15_000)).toBe(1);
    const failed = up?.logs().filter(({ event }) => event === "command-failed");
    expect(failed).toMatchObject([{ code: "edge-ended", message: "Traefik ended (SIGKILL): no output" }]);
    expect(living(pids)).toEqual([]);
  });

  test("a second signal ends it at once, although a call still runs", async () => {
    const pids = await start();
    const { nodes } = JSON.parse(up?.stdout ?? "") as { nodes: { url: string }[] };
    const url = `${nodes[0]?.url}/mcp`;
    const opened = await fetch(url, initialize);
    await opened.text();
    const headers = { ...initialize.headers, "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
    const params = { name: "sleep", arguments: { ms: 60_000, steps: 600 } };
    const call = { jsonrpc: "2.0", id: 2, method: "tools/call", params: { ...params, _meta: { progressToken: 1 } } };
    const running = await fetch(url, { method: "POST", headers, body: JSON.stringify(call) });
    expect(running.status).toBe(200);
    const cut = running.text().catch(() => "cut");
    const started = performance.now();
    up?.signal("SIGTERM");
    // What comes right after the first signal is taken for the same wish.
    while (performance.now() - started < 700) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(up?.running).toBe(true);
    up?.signal("SIGTERM");
    expect(await up?.exit(3_000)).toBe(1);
    await expectGone(pids, 4_000);
    await cut;
  });
});

test("a start with a warm cache is ready in a few seconds", async () => {
  const started = performance.now();
  const cluster = await startCluster({ server: "trips" });
  const ms = Math.round(performance.now() - started);
  console.log(`mooring up with the trips example was ready after ${ms} ms`);
  await cluster.stop();
  // 5 s on a quiet machine; a machine that also does something else gets twice that.
  expect(ms).toBeLessThan(10_000);
});
