import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import { eventually } from "../support/eventually.ts";
import { type Serving, serve } from "../support/serving.ts";
import { connectClient, type TestClient } from "./client.ts";

let serving: Serving;
let one: TestClient;

beforeAll(async () => {
  serving = await serve(yardstick, { name: "node-1" });
  one = await connectClient(serving.mcp, (question) => `answer to ${question}`);
});
afterAll(async () => {
  await one.close();
  await serving.stop();
});

describe("the yardstick answers as the contract says", () => {
  it("echo gives back its text", async () => {
    expect(await one.call("echo", { text: "hello" })).toEqual({ text: "hello" });
  });

  it("where names node, process, session and epoch", async () => {
    expect(await one.call("where")).toEqual({
      node: "node-1",
      pid: process.pid,
      session: one.sessionId,
      epoch: 1,
    });
  });

  it("count counts for each session by itself", async () => {
    const two = await connectClient(serving.mcp);
    expect(await one.call("count")).toEqual({ value: 1, node: "node-1" });
    expect(await one.call("count")).toEqual({ value: 2, node: "node-1" });
    expect(await two.call("count")).toEqual({ value: 1, node: "node-1" });
    await two.close();
  });

  it("append writes one line for each call, and takes 50 ms", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-yardstick-"));
    const file = join(folder, "log");
    process.env.YARDSTICK_LOG = file;
    try {
      const began = performance.now();
      expect(await one.call("append", { line: "first" })).toEqual({ node: "node-1" });
      expect(performance.now() - began).toBeGreaterThanOrEqual(49);
      await one.call("append", { line: "second" });
      expect(await readFile(file, "utf8")).toBe("first\nsecond\n");
    } finally {
      delete process.env.YARDSTICK_LOG;
      await rm(folder, { recursive: true });
    }
  });

  it("append says what is missing when it has no file", async () => {
    expect(await one.callFailing("append", { line: "lost" })).toContain("YARDSTICK_LOG");
  });

  it("sleep tells of its progress in even steps", async () => {
    const progress: unknown[] = [];
    const began = performance.now();
    const result = await one.client.callTool(
      { name: "sleep", arguments: { ms: 200, steps: 4 } },
      { onprogress: ({ progress: step, total }) => void progress.push([step, total]) },
    );
    expect(performance.now() - began).toBeGreaterThanOrEqual(199);
    expect(result.structuredContent).toEqual({ node: "node-1" });
    expect(progress).toEqual([
      [1, 4],
      [2, 4],
      [3, 4],
      [4, 4],
    ]);
  });

  it("announce returns at once and then counts on the standalone stream", async () => {
    one.logged.length = 0;
    await one.call("announce", { count: 5, everyMs: 20 });
    expect(one.logged.length).toBeLessThan(5);
    await eventually(() => expect(one.logged).toEqual([1, 2, 3, 4, 5].map((n) => ({ n }))));
  });

  it("announce refuses more timers than a session needs", async () => {
    const two = await connectClient(serving.mcp);
    const long = { count: 2, everyMs: 600_000 };
    await Promise.all(Array.from({ length: 16 }, () => two.call("announce", long)));
    expect(await two.callFailing("announce", long)).toContain("16 announcements are under way");
    await two.close();
  });

  it("ask puts the question to the client and gives the answer", async () => {
    expect(await one.call("ask", { question: "why?" })).toEqual({ answer: "answer to why?" });
  });

  it("big gives a text of the size asked for", async () => {
    const result = await one.client.callTool({ name: "big", arguments: { bytes: 100_000 } });
    expect(result.content).toEqual([{ type: "text", text: "x".repeat(100_000) }]);
    expect(result.structuredContent).toEqual({ text: "x".repeat(100_000) });
  });

  it("the clock changes each second, and tells who subscribed", async () => {
    const uri = "yardstick://clock";
    const read = async () => (await one.client.readResource({ uri })).contents[0];
    const before = await read();
    await one.client.subscribeResource({ uri });
    await eventually(() => expect(one.updated).toEqual([uri, uri]));
    expect(await read()).not.toEqual(before);
    await one.client.unsubscribeResource({ uri });
  });

  it("marks the tools that are safe to run again", async () => {
    const { tools } = await one.client.listTools();
    const readOnly = tools.filter((tool) => tool.annotations?.readOnlyHint).map((tool) => tool.name);
    expect(readOnly.sort()).toEqual(["big", "echo", "sleep", "where"]);
    expect(tools.filter((tool) => tool.annotations?.idempotentHint)).toEqual([]);
    for (const tool of tools) expect(tool.outputSchema, tool.name).toBeDefined();
  });
});
