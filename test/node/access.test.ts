import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AccessRules, checkAccess } from "../../src/node/access.ts";
import { ConductedServer } from "../support/conducted-server.ts";
import { acceptBoth, initializeBody, type RawAnswer, RawClient, send } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

const loopback: AccessRules = { loopback: true, allowHost: [], allowOrigin: [], trustProxy: false };
const open: AccessRules = { ...loopback, loopback: false };

type Row = readonly [name: string, headers: Record<string, string>, rules: AccessRules, allowed: boolean];

const rows: readonly Row[] = [
  ["no Origin, as programs send none", { host: "localhost:3000" }, loopback, true],
  ["a local Origin", { host: "localhost:3000", origin: "http://localhost:5173" }, loopback, true],
  ["a local Origin by address", { host: "127.0.0.1:3000", origin: "http://127.0.0.1:1" }, loopback, true],
  ["a local Origin of IPv6", { host: "[::1]:3000", origin: "http://[::1]" }, loopback, true],
  ["a foreign Origin", { host: "localhost:3000", origin: "https://evil.example" }, loopback, false],
  [
    "an Origin that begins like a local one",
    { host: "localhost", origin: "http://localhost.evil.example" },
    loopback,
    false,
  ],
  ["an Origin that ends like a local one", { host: "localhost", origin: "http://evil-localhost" }, loopback, false],
  ["an opaque Origin", { host: "localhost", origin: "null" }, loopback, false],
  ["an Origin that is no URL", { host: "localhost", origin: "localhost" }, loopback, false],
  ["an empty Origin", { host: "localhost", origin: "" }, loopback, false],
  [
    "an allowed Origin",
    { host: "localhost", origin: "https://a.example" },
    { ...loopback, allowOrigin: ["https://a.example"] },
    true,
  ],
  [
    "another port of an allowed Origin",
    { host: "localhost", origin: "https://a.example:8443" },
    { ...loopback, allowOrigin: ["https://a.example"] },
    false,
  ],
  [
    "any Origin, if all are allowed",
    { host: "localhost", origin: "https://a.example" },
    { ...loopback, allowOrigin: ["*"] },
    true,
  ],
  ["a foreign Host on loopback (DNS rebinding)", { host: "evil.example:3000" }, loopback, false],
  [
    "a foreign Host and its own Origin (DNS rebinding)",
    { host: "evil.example", origin: "http://evil.example" },
    loopback,
    false,
  ],
  ["no Host on loopback", {}, loopback, false],
  ["a Host that is none, on loopback", { host: "[" }, loopback, false],
  ["an allowed Host on loopback", { host: "box.lan:3000" }, { ...loopback, allowHost: ["box.lan"] }, true],
  ["an allowed Host with its port", { host: "box.lan:3000" }, { ...loopback, allowHost: ["box.lan:3000"] }, true],
  ["any Host elsewhere than on loopback", { host: "mcp.example" }, open, true],
  ["the request's own host as Origin", { host: "mcp.example", origin: "https://mcp.example" }, open, true],
  ["another host as Origin", { host: "mcp.example", origin: "https://evil.example" }, open, false],
  [
    "the forwarded host, if the proxy is trusted",
    { host: "10.0.0.7:3001", "x-forwarded-host": "mcp.example", origin: "https://mcp.example" },
    { ...open, trustProxy: true },
    true,
  ],
  [
    "the forwarded host, if it is not",
    { host: "10.0.0.7:3001", "x-forwarded-host": "mcp.example", origin: "https://mcp.example" },
    open,
    false,
  ],
];

describe("who may call", () => {
  test.each(rows)("%s", (_name, headers, rules, allowed) => {
    expect(checkAccess(headers, rules).kind).toBe(allowed ? "allowed" : "refused");
  });
});

const origin = "https://app.example";
let serving: Serving;

beforeAll(async () => {
  serving = await serve(new ConductedServer().definition, { allowOrigin: [origin] });
});

afterAll(async () => {
  await serving.stop();
});

function initialize(headers: Record<string, string>): Promise<RawAnswer> {
  const all = { accept: acceptBoth, "content-type": "application/json", ...headers };
  return send(serving.url, { method: "POST", headers: all, body: JSON.stringify(initializeBody()) });
}

describe("a page in a browser", () => {
  test("of an allowed origin may read the answers, and the session's id among their headers", async () => {
    const answer = await (await initialize({ origin })).ended();
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-expose-headers": "Mcp-Session-Id, WWW-Authenticate",
      vary: "Origin",
    });
  });

  test("of an allowed origin may read errors and refusals, too", async () => {
    const client = await RawClient.begin(serving.url, { headers: { origin } });
    await client.delete();
    const answer = await client.startCall("echo", { text: "a" });
    expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([404, origin]);
    const fault = await send(serving.url, { method: "POST", headers: { origin }, body: "{" });
    expect([fault.status, fault.headers["access-control-allow-origin"]]).toEqual([406, origin]);
  });

  test("of an allowed origin may listen to a stream", async () => {
    const client = await RawClient.begin(serving.url, { headers: { origin } });
    const stream = await client.listen();
    expect(stream.headers["access-control-allow-origin"]).toBe(origin);
    stream.cut();
  });

  test("of a foreign origin gets 403, begins nothing, and may read nothing", async () => {
    const before = serving.node.sessions().length;
    const answer = await (await initialize({ origin: "https://evil.example" })).ended();
    expect(answer.status).toBe(403);
    expect(answer.message).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: { message: expect.stringContaining("--allow-origin") },
    });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    expect(serving.node.sessions()).toHaveLength(before);
  });

  test("asks before it sends (preflight), and is told what it may", async () => {
    const asked = "content-type,mcp-protocol-version,mcp-session-id,x-own";
    const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": asked };
    const answer = await (await send(serving.url, { method: "OPTIONS", headers })).ended();
    expect([answer.status, answer.text]).toEqual([204, ""]);
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-allow-methods": expect.stringMatching(/GET.*POST.*DELETE/),
      "access-control-allow-headers": asked,
    });
  });

  test("of a foreign origin asks in vain", async () => {
    const headers = { origin: "https://evil.example", "access-control-request-method": "POST" };
    const answer = await send(serving.url, { method: "OPTIONS", headers });
    expect(answer.status).toBe(403);
    expect(answer.headers["access-control-allow-methods"]).toBeUndefined();
  });

  test("that was led to loopback under another name (DNS rebinding) gets 403", async () => {
    const answer = await (await initialize({ host: "evil.example", origin: "http://evil.example" })).ended();
    expect(answer.status).toBe(403);
    expect(answer.message).toMatchObject({ error: { message: expect.stringContaining("--allow-host") } });
  });
});
