import { Agent, request } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import type { ClusterView } from "../../src/edge/view.ts";
import { type Answer, type Backend, startBackend } from "./backends.ts";
import { ask, sessionOf } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { type RealTraefik, startTraefik } from "./real-traefik.ts";

const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

const everyMs = 10;

/** GET: a stream of numbered events, one each 10 ms, for as long as it is read. POST: what was seen. */
const streamingAnswer: Answer = (request, response, seen) => {
  if (request.method !== "GET") {
    response.setHeader("content-type", "application/json").end(JSON.stringify(seen));
    return;
  }
  let number = 0;
  response.writeHead(200, { "content-type": "text/event-stream" });
  const timer = setInterval(() => response.write(`data: ${++number}\n\n`), everyMs);
  response.on("close", () => clearInterval(timer));
};

async function start(...names: string[]): Promise<{ edge: RealTraefik; backends: [Backend, ...Backend[]] }> {
  const backends = await Promise.all(names.map((name) => startBackend(name, streamingAnswer)));
  running.push(...backends);
  const edge = await startTraefik({ nodes: backends.map(({ node }) => node) });
  running.push(edge);
  return { edge, backends: backends as [Backend, ...Backend[]] };
}

function withFirst(backends: readonly Backend[], state: "up" | "draining" | "down"): ClusterView {
  return { nodes: backends.map(({ node }, index) => (index === 0 ? { ...node, state } : node)) };
}

/** Reads a stream of numbered events until it is told to stop, or the stream ends. */
function readNumbers(url: string, session: string): { numbers: number[]; ended: () => boolean; stop(): Promise<void> } {
  const dispatcher = new Agent();
  const numbers: number[] = [];
  let ended = false;
  const reading = (async () => {
    const stream = await request(url, { dispatcher, headers: { "mcp-session-id": session } });
    let rest = "";
    for await (const chunk of stream.body) {
      const lines = (rest + String(chunk)).split("\n\n");
      rest = lines.pop() ?? "";
      numbers.push(...lines.map((line) => Number(line.slice("data: ".length))));
    }
  })()
    .catch(() => {})
    .finally(() => {
      ended = true;
    });
  return {
    numbers,
    ended: () => ended,
    async stop() {
      await dispatcher.destroy();
      await reading;
    },
  };
}

describe("a node that drains", () => {
  test("gets no new session, and keeps those it has", async () => {
    const { edge, backends } = await start("node-1", "node-2", "node-3");
    const session = sessionOf(backends[0].node.tag);
    await edge.show(withFirst(backends, "draining"));
    const opened = new Set<string>();
    for (let asked = 0; asked < 8; asked += 1) {
      opened.add((await ask(`${edge.http}/mcp`, { body: "initialize" })).seen.node);
      const kept = await ask(`${edge.http}/mcp`, { session, body: "call" });
      expect(kept.seen.node).toBe("node-1");
      expect(kept.seen.headers).not.toHaveProperty("mooring-failover");
    }
    expect([...opened].sort()).toEqual(["node-2", "node-3"]);
    await edge.show(withFirst(backends, "up"));
    await eventually("it gets new sessions again", async () => {
      return (await ask(`${edge.http}/mcp`, { body: "initialize" })).seen.node === "node-1";
    });
    expect(edge.log()).toBe("");
  });

  test("as the only one: its sessions are served, and new clients get 503", async () => {
    const { edge, backends } = await start("node-1");
    await edge.show(withFirst(backends, "draining"));
    expect((await ask(`${edge.http}/mcp`, { body: "initialize" })).status).toBe(503);
    const kept = await ask(`${edge.http}/mcp`, { session: sessionOf(backends[0].node.tag), body: "call" });
    expect(kept).toMatchObject({ status: 200, seen: { node: "node-1" } });
    const routers = await edge.routers();
    expect(routers.filter(({ provider, status }) => provider === "file" && status !== "enabled")).toEqual([]);
    expect(edge.log()).toBe("");
  });

  test("streams run on without a gap through ten changes of the view, and after their router is gone", async () => {
    const { edge, backends } = await start("node-1", "node-2");
    const stream = readNumbers(`${edge.http}/mcp`, sessionOf(backends[0].node.tag));
    running.push(stream);
    await eventually("the stream begins", () => stream.numbers.length > 0);
    for (let change = 0; change < 10; change += 1) {
      const before = stream.numbers.length;
      await edge.show(withFirst(backends, change === 9 ? "down" : change % 2 === 0 ? "draining" : "up"));
      await eventually("events come", () => stream.numbers.length > before);
    }
    const after = stream.numbers.length;
    await eventually("it goes on", () => stream.numbers.length > after + 10);
    expect(stream.ended()).toBe(false);
    expect(stream.numbers).toEqual(stream.numbers.map((_, index) => index + 1));
    expect(edge.log()).toBe("");
  });
});
