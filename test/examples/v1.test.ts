import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { defineServer } from "mooring";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { eventually } from "../support/eventually.ts";
import { type Serving, serve } from "../support/serving.ts";
import { connectClient } from "./client.ts";

/** A server of the SDK's first generation, as it stands in somebody's code today. */
const old = defineServer(({ session }) => {
  const server = new McpServer({ name: "old", version: "1.0.0" }, { capabilities: { logging: {} } });
  const count = session.state("count", 0);
  server.registerTool("count", { inputSchema: {}, outputSchema: { value: z.number() } }, async () => {
    count.value += 1;
    return { content: [], structuredContent: { value: count.value } };
  });
  server.registerTool("slow", { inputSchema: { steps: z.number() } }, async ({ steps }, extra) => {
    const progressToken = extra._meta?.progressToken ?? 0;
    for (let progress = 1; progress <= steps; progress += 1) {
      await sleep(20, undefined, { signal: extra.signal });
      await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress } });
    }
    return { content: [{ type: "text", text: `${extra.sessionId}` }] };
  });
  server.registerTool("say", { inputSchema: {} }, async () => {
    await server.sendLoggingMessage({ level: "info", data: "said" }, session.id);
    return { content: [] };
  });
  server.registerTool("ask", { inputSchema: {} }, async () => {
    const reply = await server.server.elicitInput({
      message: "your name?",
      requestedSchema: { type: "object", properties: { name: { type: "string" } } },
    });
    return { content: [{ type: "text", text: String(reply.content?.name) }] };
  });
  return server;
});

let serving: Serving;
beforeAll(async () => {
  serving = await serve(old);
});
afterAll(() => serving.stop());

describe("a server of SDK v1 is served like one of v2", () => {
  it("to a client of v1: calls, progress, log messages and questions on the standalone stream", async () => {
    const client = new Client({ name: "old-client", version: "1.0.0" }, { capabilities: { elicitation: {} } });
    const logged: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.data));
    client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "accept", content: { name: "Ada" } }));
    const transport = new StreamableHTTPClientTransport(new URL(serving.mcp));
    await client.connect(transport);

    await client.callTool({ name: "count" });
    expect((await client.callTool({ name: "count" })).structuredContent).toEqual({ value: 2 });

    const progress: number[] = [];
    const slow = await client.callTool({ name: "slow", arguments: { steps: 3 } }, undefined, {
      onprogress: (step) => void progress.push(step.progress),
    });
    expect(slow.content).toEqual([{ type: "text", text: transport.sessionId }]);
    expect(progress).toEqual([1, 2, 3]);

    await client.callTool({ name: "say" });
    await eventually(() => expect(logged).toEqual(["said"]));
    expect((await client.callTool({ name: "ask" })).content).toEqual([{ type: "text", text: "Ada" }]);

    await transport.terminateSession();
    await expect(client.callTool({ name: "count" })).rejects.toThrow();
    await client.close();
  });

  it("to a client of v2", async () => {
    const session = await connectClient(serving.mcp);
    expect(await session.call("count")).toEqual({ value: 1 });
    await session.close();
  });
});
