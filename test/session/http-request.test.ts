import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { defineServer } from "mooring";
import { afterEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { RawClient } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

let serving: Serving;

afterEach(async () => {
  await serving.stop();
});

const headers = { "x-own": "its value", origin: "http://localhost" };

describe("what a tool learns of the HTTP request that called it", () => {
  test("with SDK v2: a web-standard Request", async () => {
    const conducted = new ConductedServer();
    serving = await serve(conducted.definition);
    const client = await RawClient.begin(serving.url, { headers });
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    const request = call.ctx.http?.req as Request;
    expect(request).toBeInstanceOf(Request);
    expect([request.method, request.url]).toEqual(["POST", serving.mcp]);
    expect(request.headers.get("x-own")).toBe("its value");
    expect(request.headers.get("mcp-session-id")).toBe(client.session);
    expect(request.clone().headers.get("x-own")).toBe("its value");
    expect(request.signal.aborted).toBe(false);
    expect(call.ctx.sessionId).toBe(client.session);
    call.answer("done");
    await answer.ended();
  });

  test("with SDK v1: the headers", async () => {
    const seen: unknown[] = [];
    serving = await serve(
      defineServer(() => {
        const server = new McpServer({ name: "v1", version: "1" });
        server.registerTool("look", {}, ({ requestInfo, sessionId }) => {
          seen.push(requestInfo?.headers["x-own"], sessionId);
          return { content: [] };
        });
        return server;
      }),
    );
    const client = await RawClient.begin(serving.url, { headers });
    await client.call("look");
    expect(seen).toEqual(["its value", client.session]);
  });
});
