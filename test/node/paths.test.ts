import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { RawClient, send } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

const log = new RecordedLog();
let serving: Serving;
let signal: AbortSignal | undefined;

/** The person's own app: says what it was asked, or fails as it is told. */
async function app(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === "/throws") throw new Error("the app threw");
  if (request.url === "/throws-late") {
    response.writeHead(200, { "content-length": 100 });
    response.write("begun");
    throw new Error("the app threw late");
  }
  response.end(`app: ${request.method} ${request.url}`);
}

beforeAll(async () => {
  const conducted = new ConductedServer({
    app: (context) => {
      ({ signal } = context);
      return app;
    },
  });
  serving = await serve(conducted.definition, { log });
});

afterAll(async () => {
  await serving.stop();
  expect(signal?.aborted).toBe(true);
});

async function get(path: string): Promise<{ status: number; text: string }> {
  const { status, text } = await (await send(serving.url, { path })).ended();
  return { status, text };
}

describe("the node's paths", () => {
  test.each(["/mcp", "/mcp/", "/mcp?a=b", "/mcp/?a=b"])("%s is MCP", async (path) => {
    expect(await get(path)).toMatchObject({ status: 406, text: expect.stringContaining("jsonrpc") });
  });

  test.each(["/", "/graphql", "/mcpfoo", "/mcp/foo", "/mcp.json", "/MCP", "/livezz", "//mcp", "/%6dcp", "/x/../mcp"])(
    "%s is the app's",
    async (path) => {
      expect(await get(path)).toEqual({ status: 200, text: `app: GET ${path}` });
    },
  );

  test("/livez says that the node lives", async () => {
    expect(await get("/livez")).toEqual({ status: 200, text: "ok\n" });
  });

  test("/.well-known/oauth-protected-resource is reserved, also where nothing is there yet", async () => {
    expect(await get("/.well-known/oauth-protected-resource/mcp")).toMatchObject({ status: 404 });
  });

  test("/livez answers whatever the Host, for whoever checks by address; the app's paths don't", async () => {
    const headers = { host: "evil.example" };
    expect((await send(serving.url, { path: "/livez", headers })).status).toBe(200);
    expect((await send(serving.url, { path: "/graphql", headers })).status).toBe(403);
  });

  test("without an app, other paths get 404 that says where MCP is", async () => {
    const bare = await serve(new ConductedServer().definition);
    const answer = await (await send(bare.url, { path: "/else?a=b" })).ended();
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toEqual({
      code: "not-found",
      message: "Nothing is served at /else. MCP is at /mcp.",
    });
    await bare.stop();
  });
});

describe("an app that throws", () => {
  test("gets its caller a 500 without its inner matters, the log a line, and the node goes on", async () => {
    const answer = await get("/throws");
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("the app threw");
    expect(log.of("app-failed")).toEqual([{ url: "/throws", error: "Error: the app threw" }]);
    expect(await get("/graphql")).toMatchObject({ status: 200 });
    const client = await RawClient.begin(serving.url);
    expect(await client.call("echo", { text: "a" })).toMatchObject({ result: {} });
  });

  test("in the middle of an answer breaks it off, for it can't be made whole", async () => {
    const answer = await (await send(serving.url, { path: "/throws-late" })).ended();
    expect(answer.end).toBe("cut");
    expect(await get("/graphql")).toMatchObject({ status: 200 });
  });
});

test("an app that doesn't start stops the node, which leaves the cluster and frees everything", async () => {
  const starting = serve({
    create: new ConductedServer().definition.create,
    app: () => {
      throw new Error("no database");
    },
  });
  await expect(starting).rejects.toThrow("no database");
});
