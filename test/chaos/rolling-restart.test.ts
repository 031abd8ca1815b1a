import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { percentiles } from "../../bench/statistics.ts";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { call, listTools } from "../support/raw-mcp.ts";
import { ClientsAtWork, type WorkOptions } from "./clients-at-work.ts";
import { mostInASecond } from "./followed-stream.ts";
import { OwnersWatch } from "./owners-watch.ts";

const full = process.env.MOORING_FULL === "1";
const size: WorkOptions = full
  ? { sessions: 1_000, streams: 300, sdkClients: 5, pythonClients: 5, pauseMs: 3_000, everyMs: 1_000 }
  : { sessions: 60, streams: 20, sdkClients: 2, pythonClients: 1, pauseMs: 150, everyMs: 100 };

/** As many as all nodes together may hand over in a second. */
const mostReconnections = 200;

let folder: string;
let module: string;
let cluster: Cluster;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-deploy-"));
  module = join(folder, "server.mjs");
  await deploy("yardstick");
  cluster = await startCluster({ nodes: 3, server: module });
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What the nodes serve that start from now on. */
async function deploy(example: "yardstick" | "yardstick-2"): Promise<void> {
  const { href } = new URL(`../../examples/${example}/server.ts`, import.meta.url);
  await writeFile(module, `export { default } from ${JSON.stringify(href)};\n`);
}

/** Restarts all nodes while clients are at work, and waits until their sessions are home. Says what clients noticed. */
async function restartUnder(clients: ClientsAtWork): Promise<void> {
  const watch = new OwnersWatch(cluster);
  const began = performance.now();
  await cluster.rollingRestart();
  const restarted = performance.now();
  await cluster.waitFor(async () => (await abroad(clients.ids)) === 0, {
    deadline: 60_000,
    what: "all sessions to be home",
  });
  const home = performance.now();
  await clients.streamsGoOn(cluster, 30_000);
  await clients.stopCalls();
  await watch.stop();

  const calls = clients.callsSince(began);
  const { p50, p99, max } = percentiles(calls.map(({ sentAt, endedAt }) => endedAt - sentAt));
  const most = mostInASecond(clients.reconnectedAt);
  const [inRestart, untilHome] = [restarted - began, home - restarted].map((ms) => (ms / 1_000).toFixed(1));
  console.log(
    `${clients.ids.length} sessions: restarted in ${inRestart} s, home ${untilHome} s later; ${calls.length} calls, ` +
      `p50 ${p50.toFixed(0)} p99 ${p99.toFixed(0)} max ${max.toFixed(0)} ms; ${clients.reconnectedAt.length} reconnections ` +
      `of ${clients.streams.length} streams, at most ${most} in a second`,
  );
  expect(clients.faults()).toEqual([]);
  expect(watch.faults).toEqual([]);
  expect(watch.looks).toBeGreaterThan(5);
  expect(most).toBeLessThan(mostReconnections);
}

/** How many of these sessions are not at their homes. */
async function abroad(ids: readonly string[]): Promise<number> {
  const answer = await fetch(`${cluster.nodes[0]?.admin}/api/sessions`, { signal: AbortSignal.timeout(5_000) });
  const { sessions } = (await answer.json()) as { sessions: { id: string; node: string }[] };
  const nodes = new Map(sessions.map(({ id, node }) => [id, node]));
  const tags = new Map(cluster.nodes.map(({ name, tag }) => [name, tag]));
  return ids.filter((id) => !id.startsWith(`${tags.get(nodes.get(id) ?? "")}.`)).length;
}

// The other one shows all of this too.
test.runIf(full)("a rolling restart is noticed by no client", { timeout: 600_000 }, async () => {
  const clients = await ClientsAtWork.start(cluster, size);
  try {
    await restartUnder(clients);
  } finally {
    await clients.close();
  }
});

test("nor one that brings a new version: sessions go on in it, and clients are told what is new", {
  timeout: 600_000,
}, async () => {
  const clients = await ClientsAtWork.start(cluster, size);
  try {
    await deploy("yardstick-2");
    await restartUnder(clients);
    for (const { id, acknowledged } of clients.sessions.slice(0, 100)) {
      expect(await listTools(cluster.mcp, id)).toContain("tally");
      const { body } = await call(cluster.mcp, id, "tally");
      expect(body.result?.structuredContent).toMatchObject({ value: acknowledged.at(-1), node: expect.any(String) });
    }
    for (const { others, session } of clients.streams) {
      expect(others, session).toContain("notifications/tools/list_changed");
    }
    for (const client of clients.sdkClients) {
      expect(client.toolsChanged).toBeGreaterThan(0);
      expect(await client.tools()).toContain("tally");
      expect(await client.call("tally")).toMatchObject({ value: client.counted.at(-1) });
    }
    for (const session of clients.pythonSessions) {
      expect(session.toolsChanged, session.name).toBeGreaterThan(0);
      const { tools, result } = await clients.callOfPython(session, "tally");
      expect(tools).toContain("tally");
      expect(result).toMatchObject({ value: session.calls.at(-1)?.result?.value });
    }
  } finally {
    await clients.close();
  }
});
