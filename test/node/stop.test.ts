import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { McpServer } from "@modelcontextprotocol/server";
import { createNode, defineServer, SettingsError } from "mooring";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, initializeBody, type RawClient, send } from "../support/raw-client.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

let cluster: TestCluster;
let node: ClusterNode;
let client: RawClient;

beforeEach(async () => {
  cluster = new TestCluster();
  node = await cluster.start("node-1");
  client = await node.begin();
});

afterEach(async () => {
  await cluster.stop();
});

describe("a node that is stopped", () => {
  test("lets calls in flight end, then ends streams gracefully", async () => {
    const stream = await client.listen();
    const answer = await client.startCall("wait", { name: "a" });
    const call = await node.conducted.call("a");
    const stopped = node.node.stop();
    await eventually(() => expect(cluster.store.nodes(Date.now())).toMatchObject([{ state: "draining" }]));
    expect([answer.end, stream.end]).toEqual(["open", "open"]);
    call.answer("done");
    await stopped;
    expect((await answer.ended()).messages).toMatchObject([{ id: 1, result: { content: [{ text: "done" }] } }]);
    expect([(await answer.ended()).end, (await stream.ended()).end]).toEqual(["whole", "whole"]);
  });

  test("waits up to 5 s for a call, then answers it with an error", async () => {
    const answer = await client.startCall("wait", { name: "endless" });
    await node.conducted.call("endless");
    const began = performance.now();
    await node.node.stop();
    expect(performance.now() - began).toBeGreaterThan(4_900);
    expect(performance.now() - began).toBeLessThan(7_000);
    expect((await answer.ended()).messages).toMatchObject([{ id: 1, error: { code: -32001 } }]);
  });

  test("leaves the cluster, but its sessions stay in the registry", async () => {
    await node.node.stop();
    expect(cluster.store.nodes(Date.now())).toEqual([]);
    expect(cluster.find(client.session)).toMatchObject({ id: client.session, epoch: 1 });
    expect(node.node.sessions()).toEqual([]);
  });

  test("aborts its sessions' signals", async () => {
    const { context } = node.conducted.session(client.session);
    await node.node.stop();
    expect(context.signal.aborted).toBe(true);
  });

  test("is stopped once, however often it is told to", async () => {
    const stops = [node.node.stop(), node.node.stop()];
    expect(stops[0]).toBe(stops[1]);
    await Promise.all(stops);
    await node.node.stop();
    expect(node.log.of("node-stopped")).toHaveLength(1);
  });

  test("refuses what comes too late: sessions with a reason, and no new ones", async () => {
    await node.node.stop();
    const late = await (await client.startCall("echo", { text: "a" })).ended();
    expect(late.status).toBe(404);
    expect(late.message).toMatchObject({ error: { code: -32001 } });
    const headers = { accept: acceptBoth, "content-type": "application/json" };
    const request = { method: "POST", headers, body: JSON.stringify(initializeBody()) };
    const begun = await (await send(node.url, request)).ended();
    expect(begun.status).toBe(503);
    expect(begun.message).toMatchObject({
      id: 0,
      error: { message: expect.stringMatching(/is stopping.*Send initialize again/) },
    });
    expect(node.node.sessions()).toEqual([]);
  });

  test("leaves no session behind that was just beginning", async () => {
    let began = () => {};
    let goOn = () => {};
    const reached = new Promise<void>((resolve) => {
      began = resolve;
    });
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const signals: AbortSignal[] = [];
    const server = new McpServer({ name: "slow", version: "1" });
    const closed = vi.spyOn(server, "close");
    const slow = defineServer(async ({ session }) => {
      signals.push(session.signal);
      began();
      await held;
      return server;
    });
    const http = createServer().listen(0, "127.0.0.1");
    const late = await createNode({ server: slow, name: "late", url: "http://127.0.0.1:1", admin: "off" });
    const request = new Request("http://localhost/mcp", {
      method: "POST",
      headers: { accept: acceptBoth, "content-type": "application/json" },
      body: JSON.stringify(initializeBody()),
    });
    const answer = late.fetch(request);
    await reached;
    await late.stop();
    // Its client is answered before the server is there, and also if that never comes.
    expect((await answer).status).toBe(503);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(closed).not.toHaveBeenCalled();
    goOn();
    await eventually(() => expect(closed).toHaveBeenCalledTimes(1));
    expect(late.sessions()).toEqual([]);
    http.close();
  });
});

test("after its stop nothing keeps the process alive", async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./fixtures/start-and-stop.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  const [code] = await once(child, "exit");
  clearTimeout(timer);
  expect({ code, output }).toEqual({ code: 0, output: "stopped\n" });
});

describe("a node whose settings contradict each other", () => {
  test("doesn't start, and the error names both", async () => {
    const start = createNode({
      server: () => new McpServer({ name: "x", version: "1" }),
      name: "x",
      url: "http://localhost:1",
      lease: 1_000,
      renew: 800,
    });
    await expect(start).rejects.toThrow(SettingsError);
    await expect(start).rejects.toThrow(/lease.*renew/);
  });

  test.each([{ lease: Number.NaN }, { renew: Number.NaN }, { lease: "5s" as unknown as number }])(
    "doesn't start on what is no number: %o",
    async (settings) => {
      const server = () => new McpServer({ name: "x", version: "1" });
      await expect(
        createNode({ server, name: "x", url: "http://localhost:1", admin: "off", ...settings }),
      ).rejects.toThrow(SettingsError);
    },
  );
});
