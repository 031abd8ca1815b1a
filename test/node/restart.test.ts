import { afterEach, expect, test } from "vitest";
import type { ToldNode } from "../../src/admin/target.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { FailingNodes } from "./failing-nodes.ts";
import { TestCluster } from "./test-cluster.ts";

const cluster = new TestCluster();
afterEach(() => cluster.stop());

async function post(admin: string | undefined, path: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${admin}${path}`, { method: "POST" });
  return { status: answer.status, body: await answer.json() };
}

test("a node tells its host that an operator wants a restart, and the operator which incarnation was asked", async () => {
  let asked = 0;
  const onRestart = () => {
    asked += 1;
  };
  const first = await cluster.start("node-1", { admin: "127.0.0.1:0", onRestart, drainDeadline: 7_000 });
  const other = await cluster.start("node-2", { admin: "127.0.0.1:0" });
  // Any node's admin address does.
  const { status, body } = await post(other.node.admin, "/api/nodes/node-1/restart");
  expect(status).toBe(200);
  const { incarnation } = first.node;
  const record = cluster.store.nodes(Date.now()).find((node) => node.incarnation === incarnation);
  expect(body).toMatchObject({
    name: "node-1",
    state: "up",
    pid: process.pid,
    since: record?.since,
    drainDeadline: 7_000,
  });
  await eventually(() => expect(asked).toBe(1));
  expect(first.log.of("node-restarting")).toHaveLength(1);
});

test("a node that is embedded in an app says that its host restarts it", async () => {
  const embedded = await cluster.start("node-1", { admin: "127.0.0.1:0" });
  const other = await cluster.start("node-2", { admin: "127.0.0.1:0" });
  for (const { node } of [embedded, other]) {
    const { status, body } = await post(node.admin, "/api/nodes/node-1/restart");
    expect(status).toBe(501);
    expect(body).toMatchObject({ code: "node-embedded", next: expect.stringContaining("mooring drain") });
  }
});

test("a node goes on as it is while the registry is away, which its next incarnation could not join", async () => {
  let asked = 0;
  const onRestart = () => {
    asked += 1;
  };
  const registry = new FailingNodes({ store: cluster.store });
  const { node } = await cluster.start("node-1", { admin: "127.0.0.1:0", registry, onRestart });
  registry.failing = true;
  expect(await post(node.admin, "/api/nodes/node-1/restart")).toMatchObject({
    status: 503,
    body: { code: "node-not-told", message: expect.stringMatching(/goes on as it is.*is away/) },
  });
  registry.failing = false;
  expect((await post(node.admin, "/api/nodes/node-1/restart")).status).toBe(200);
  await eventually(() => expect(asked).toBe(1));
});

test("nobody can ask for the restart of a node that is not there, nor by reading", async () => {
  const { node } = await cluster.start("node-1", { admin: "127.0.0.1:0" });
  expect(await post(node.admin, "/api/nodes/node-9/restart")).toMatchObject({
    status: 404,
    body: { code: "unknown-node" },
  });
  expect((await fetch(`${node.admin}/api/nodes/node-1/restart`)).status).toBe(405);
});

test("a node that is told to drain says how long that may take", async () => {
  const { node } = await cluster.start("node-1", { admin: "127.0.0.1:0" });
  const { body } = await post(node.admin, "/api/nodes/node-1/drain");
  expect(body as ToldNode).toMatchObject({ state: "draining", drainDeadline: 30_000 });
  const [view] = (await (await fetch(`${node.admin}/api/nodes`)).json()) as unknown[];
  expect(view).not.toHaveProperty("drainDeadline");
});

test("a node is not ready before it has joined its cluster", async () => {
  // A former life of it holds its name for a moment more.
  const { node: former } = await cluster.start("node-1", { lease: 1_000, renew: 100 });
  const [record] = cluster.store.nodes(Date.now());
  await former.stop();
  cluster.store.join({ ...(record as NodeRecord), url: "http://127.0.0.1:1" }, 1_000, Date.now());
  const port = await freePort();
  const starting = cluster.start("node-1", { admin: `127.0.0.1:${port}`, renew: 100, lease: 1_000 });
  const readyz = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
  await eventually(async () => expect(await readyz()).toBe(503));
  const own = await fetch(`http://127.0.0.1:${port}/api/nodes?scope=node`);
  expect(await own.json()).toMatchObject([{ name: "node-1", state: "down" }]);
  expect(await post(`http://127.0.0.1:${port}`, "/api/nodes/node-1/restart")).toMatchObject({
    status: 503,
    body: { code: "node-not-told", message: expect.stringContaining("just starting") },
  });
  await starting;
  expect(await readyz()).toBe(200);
});
