import { NameTakenError } from "mooring";
import { afterEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, type ServingOptions, serve } from "../support/serving.ts";

let store = new MemoryStore();
let running: Serving[] = [];
afterEach(async () => {
  await Promise.all(running.map((serving) => serving.stop()));
  running = [];
  store = new MemoryStore();
});

async function start(name: string, options: ServingOptions = {}): Promise<Serving> {
  const registry = new MemoryRegistry({ store });
  const serving = await serve(yardstick, { name, registry, admin: "127.0.0.1:0", ...options });
  running.push(serving);
  return serving;
}

const adminOf = ({ node }: Serving) => node.admin as string;

async function status(url: string, init: RequestInit = {}): Promise<number> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(5_000) });
  await answer.arrayBuffer();
  return answer.status;
}

async function json(url: string, init: RequestInit = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(5_000) });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe("names", () => {
  test("a second node of a name is refused at once while the first answers, with both addresses", async () => {
    const first = await start("node-1");
    const before = performance.now();
    const starting = start("node-1", { lease: 60_000 });
    await expect(starting).rejects.toBeInstanceOf(NameTakenError);
    expect(performance.now() - before).toBeLessThan(1_000);
    const { message } = (await starting.catch((error) => error)) as Error;
    expect(message).toContain(first.url);
    expect(message.match(/http:\/\/127\.0\.0\.1:\d+/g)).toHaveLength(2);
    expect(await first.node.nodes()).toMatchObject([{ incarnation: first.node.incarnation }]);
    await initialize(first.mcp);
  });

  test("two names with one tag are refused at once, with both names", async () => {
    const first = await start("node-10306");
    const second = start("node-16062");
    await expect(second).rejects.toMatchObject({ code: "tag-taken" });
    await expect(second).rejects.toThrow(/"node-16062".*"node-10306"/);
    expect(first.node.tag).toBe("tk5qyq");
  });

  test("both addresses of a node tell which incarnation answers", async () => {
    const { node, url } = await start("node-1");
    for (const address of [url, node.admin]) {
      const answer = await fetch(`${address}/livez`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("mooring-incarnation")).toBe(node.incarnation);
    }
  });
});

describe("a node whose name was taken over", () => {
  const taker: NodeRecord = {
    ...{ name: "node-1", tag: "", incarnation: "second", url: "http://127.0.0.1:1" },
    ...{ state: "up", pid: 4712, since: 0 },
  };

  test("ends its sessions, serves nothing any more, and says so once", async () => {
    const log = new RecordedLog();
    const lost: NodeRecord[] = [];
    const serving = await start("node-1", { renew: 50, log, onLost: (to) => lost.push(to) });
    const { node, mcp, url } = serving;
    const session = await initialize(mcp);
    const [own] = store.nodes(Date.now());
    store.leave(own as NodeRecord);
    store.join({ ...taker, tag: node.tag }, 60_000, Date.now());

    await eventually(() => expect(lost).toMatchObject([{ incarnation: "second" }]));
    expect(node.sessions()).toEqual([]);
    expect((await call(mcp, session, "where")).status).toBe(503);
    expect(await status(`${url}/livez`)).toBe(503);
    expect(await status(url)).toBe(503);
    expect(log.of("node-lost")).toEqual([
      { node: "node-1", url, sessions: 1, to: { url: "http://127.0.0.1:1", pid: 4712 } },
    ]);
    await node.stop();
    expect(store.nodes(Date.now())).toMatchObject([{ incarnation: "second" }]);
  });
});

describe("a node that drains", () => {
  const readyz = (serving: Serving) => status(`${adminOf(serving)}/readyz`);
  const drain = (through: Serving, name: string, method = "POST", headers: Record<string, string> = {}) =>
    json(`${adminOf(through)}/api/nodes/${encodeURIComponent(name)}/drain`, { method, headers });

  test("is not ready for new clients, and serves its sessions and whoever comes nevertheless", async () => {
    const serving = await start("node-1");
    const { node, mcp, url } = serving;
    const session = await initialize(mcp);
    expect(await readyz(serving)).toBe(200);
    await node.drain();
    expect(await readyz(serving)).toBe(503);
    expect(await status(`${url}/livez`)).toBe(200);
    expect(await status(`${adminOf(serving)}/livez`)).toBe(200);
    expect(await node.nodes()).toMatchObject([{ name: "node-1", state: "draining" }]);
    expect((await call(mcp, session, "where")).status).toBe(200);
    const newcomer = await initialize(mcp);
    expect((await call(mcp, newcomer, "where")).status).toBe(200);
    await node.undrain();
    expect(await readyz(serving)).toBe(200);
    expect(await node.nodes()).toMatchObject([{ state: "up" }]);
  });

  test("is told so through any node's admin address, its own too, and told to end it", async () => {
    const one = await start("node-1");
    const two = await start("näher & 2");
    for (const through of [one, two]) {
      const drained = await drain(through, "näher & 2");
      expect(drained).toMatchObject({ status: 200, body: { name: "näher & 2", state: "draining", sessions: 0 } });
      expect(await readyz(two)).toBe(503);
      expect(await readyz(one)).toBe(200);
      const undone = await drain(through, "näher & 2", "DELETE");
      expect(undone).toMatchObject({ status: 200, body: { name: "näher & 2", state: "up" } });
      expect(await readyz(two)).toBe(200);
    }
  });

  test("doing it twice is as doing it once, and is logged once", async () => {
    const log = new RecordedLog();
    const serving = await start("node-1", { log });
    await drain(serving, "node-1");
    expect(await drain(serving, "node-1")).toMatchObject({ status: 200, body: { state: "draining" } });
    expect(log.of("node-draining")).toEqual([{ node: "node-1", sessions: 0 }]);
  });

  test("what can't be done says why, and what to do", async () => {
    const serving = await start("node-1");
    await start("node-2", { admin: "off" });
    expect(await drain(serving, "node-3")).toMatchObject({
      status: 404,
      body: {
        code: "unknown-node",
        message: expect.stringContaining("node-3"),
        next: expect.stringContaining("nodes"),
      },
    });
    expect(await drain(serving, "node-2")).toMatchObject({
      status: 503,
      body: {
        code: "node-not-told",
        message: expect.stringContaining("no admin listener"),
        next: expect.stringContaining("SIGTERM"),
      },
    });
    expect(await drain(serving, "node-1", "GET")).toMatchObject({ status: 405, body: { code: "method-not-allowed" } });
  });

  test("no page of another site can make it", async () => {
    const serving = await start("node-1");
    const refused = await drain(serving, "node-1", "POST", { origin: "https://evil.example" });
    expect(refused).toMatchObject({ status: 403, body: { code: "origin-not-allowed" } });
    expect(await readyz(serving)).toBe(200);
    expect((await drain(serving, "node-1", "POST", { origin: adminOf(serving) })).status).toBe(200);
  });
});
