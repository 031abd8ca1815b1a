import { afterEach, describe, expect, test } from "vitest";
import { type Backend, startBackend, startBackends } from "./backends.ts";
import { ask, sessionOf } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { type RealTraefik, startTraefik } from "./real-traefik.ts";

const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

async function cluster(backends: readonly Backend[]): Promise<RealTraefik> {
  running.push(...backends);
  const edge = await startTraefik({ nodes: backends.map(({ node }) => node) });
  running.push(edge);
  // The first check of a server is made at once: what is lost after it is lost between two checks.
  await eventually("every owner was checked", async () => {
    for (const { node } of backends) {
      const status = await edge.serverStatus(`own-${node.tag}@file`);
      if (status[node.url] !== "UP") return false;
    }
    return true;
  });
  return edge;
}

describe("an owner that refuses connections", () => {
  test("loses no request: the same one is served by another node, marked and whole", async () => {
    const [lost, ...others] = await startBackends("node-1", "node-2", "node-3");
    if (lost === undefined) throw new Error("no backend");
    const edge = await cluster([lost, ...others]);
    const session = sessionOf(lost.node.tag);
    expect((await ask(`${edge.http}/mcp`, { session })).seen.node).toBe("node-1");
    await lost.stop();
    const body = JSON.stringify({ text: "x".repeat(100_000) });
    for (let asked = 0; asked < 10; asked += 1) {
      const reply = await ask(`${edge.http}/mcp`, { session, body });
      expect(reply).toMatchObject({ status: 200, cookies: [] });
      expect(reply.seen.node).not.toBe("node-1");
      expect(reply.seen.headers["mooring-failover"]).toBe("1");
      expect(reply.seen.body).toBe(body);
    }
    const other = others[0] as Backend;
    const pinned = await ask(`${edge.http}/mcp`, { session: sessionOf(other.node.tag) });
    expect(pinned.seen.node).toBe(other.name);
    expect(pinned.seen.headers).not.toHaveProperty("mooring-failover");
  });

  test("is taken for down at its first refusals, not at the next check: each request is delivered once", async () => {
    const [lost, other] = await startBackends("node-1", "node-2");
    if (lost === undefined || other === undefined) throw new Error("no backend");
    const edge = await cluster([lost, other]);
    await lost.stop();
    const session = sessionOf(lost.node.tag);
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        expect((await ask(`${edge.http}/mcp`, { session, body: `call ${index}` })).status).toBe(200);
      }),
    );
    const bodies = other.seen.map(({ body }) => body).sort();
    expect(bodies).toEqual(Array.from({ length: 20 }, (_, index) => `call ${index}`).sort());
  });
});

describe("a request that a node may have read", () => {
  test("is never sent again: its client gets 502, at once", async () => {
    const dying = await startBackend("node-1", (incoming) => void incoming.socket.destroy());
    const [other] = await startBackends("node-2");
    if (other === undefined) throw new Error("no backend");
    const edge = await cluster([dying, other]);
    const session = sessionOf(dying.node.tag);
    for (let asked = 0; asked < 3; asked += 1) {
      const reply = await ask(`${edge.http}/mcp`, { session, body: `call ${asked}` });
      expect(reply.status).toBe(502);
    }
    expect(dying.seen.map(({ body }) => body)).toEqual(["call 0", "call 1", "call 2"]);
    expect(other.seen).toEqual([]);
  });

  test("a single 5xx of a node's own does not move its sessions", async () => {
    const failing = await startBackend("node-1", (_incoming, response, seen) => {
      response.writeHead(seen.body === "fail" ? 503 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(seen));
    });
    const [other] = await startBackends("node-2");
    if (other === undefined) throw new Error("no backend");
    const edge = await cluster([failing, other]);
    const session = sessionOf(failing.node.tag);
    expect((await ask(`${edge.http}/mcp`, { session, body: "fail" })).status).toBe(503);
    for (let asked = 0; asked < 5; asked += 1) {
      expect((await ask(`${edge.http}/mcp`, { session, body: "go on" })).seen.node).toBe("node-1");
    }
  });
});

describe("a node that is down in the view", () => {
  test("leaves its sessions to the pool, and nothing is marked as failed over", async () => {
    const backends = await startBackends("node-1", "node-2", "node-3");
    const edge = await cluster(backends);
    const [lost, ...others] = backends as [Backend, ...Backend[]];
    await lost.stop();
    await edge.show({
      nodes: backends.map(({ node }) => (node.name === "node-1" ? { ...node, state: "down" } : node)),
    });
    const nodes = new Set<string>();
    for (let asked = 0; asked < 4; asked += 1) {
      const reply = await ask(`${edge.http}/mcp`, { session: sessionOf(lost.node.tag), body: "{}" });
      expect(reply.status).toBe(200);
      expect(reply.seen.headers).not.toHaveProperty("mooring-failover");
      nodes.add(reply.seen.node);
    }
    expect([...nodes].sort()).toEqual(others.map(({ name }) => name));
    const routers = await edge.routers();
    expect(routers.filter(({ provider, status }) => provider === "file" && status !== "enabled")).toEqual([]);
  });

  test("gets its sessions back when it is up again", async () => {
    const backends = await startBackends("node-1", "node-2");
    const edge = await cluster(backends);
    const [first] = backends as [Backend];
    const session = sessionOf(first.node.tag);
    await edge.show({
      nodes: backends.map(({ node }) => (node.name === "node-1" ? { ...node, state: "down" } : node)),
    });
    expect((await ask(`${edge.http}/mcp`, { session })).seen.node).toBe("node-2");
    await edge.show({ nodes: backends.map(({ node }) => node) });
    expect((await ask(`${edge.http}/mcp`, { session })).seen.node).toBe("node-1");
  });
});
