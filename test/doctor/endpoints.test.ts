import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { McpServer } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import type { Check, CheckId, Report } from "../../src/doctor/check.ts";
import type { Target } from "../../src/doctor/endpoint.ts";
import { examine } from "../../src/doctor/examine.ts";
import { startSdkHost } from "../conformance/sdk-host.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { serve } from "../support/serving.ts";
import { startTlsFront } from "../support/tls-front.ts";
import { buffering, compressing, cutting, listenWith, startProxy } from "./broken-endpoints.ts";

type OnFinished = (stop: () => Promise<void>) => void;

/** Starts something that is stopped when the test is over. */
async function started<T extends { stop(): Promise<void> }>(onFinished: OnFinished, starting: Promise<T>): Promise<T> {
  const running = await starting;
  onFinished(() => running.stop());
  return running;
}

/** The least that a server has to answer. */
async function answerAsServer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { id, method } = JSON.parse(await text(request)) as { id?: number; method: string };
  const result =
    method === "initialize"
      ? { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "least", version: "1.0.0" } }
      : {};
  const head = { "content-type": "application/json", "mcp-session-id": "one-session-for-all" };
  if (id === undefined) response.writeHead(202).end();
  else response.writeHead(200, head).end(JSON.stringify({ jsonrpc: "2.0", id, result }));
}

async function examined(url: string, idleMs = 300, more: Partial<Target> = {}): Promise<Report> {
  return await examine({ url: new URL(url), headers: [], insecure: false, ...more }, { idleMs });
}

function check(report: Report, id: CheckId): Check {
  return report.checks.find((one) => one.id === id) as Check;
}

/** The checks that ended otherwise than "ok", with how. */
function notOk({ checks }: Report): Record<string, string> {
  return Object.fromEntries(checks.filter(({ result }) => result !== "ok").map(({ id, result }) => [id, result]));
}

describe.concurrent("the doctor finds nothing wrong", () => {
  test("with one node of Mooring, and leaves no session behind", async ({ onTestFinished }) => {
    const { mcp, node } = await started(onTestFinished, serve(yardstick));
    const report = await examined(mcp);
    expect(notOk(report)).toEqual({ cookies: "not-run", "foreign-cookie": "not-run", "cookie-attributes": "not-run" });
    expect(report.ok).toBe(true);
    expect(check(report, "resume").seen).toBe("6 events over two connections, each once");
    expect(await node.sessions()).toEqual([]);
  });

  test("with a few dozen requests", async ({ onTestFinished }) => {
    const { mcp: behind } = await started(onTestFinished, serve(yardstick));
    const through = await started(onTestFinished, startProxy([behind]));
    let requests = 0;
    const { mcp } = await started(
      onTestFinished,
      listenWith((request, response) => {
        requests += 1;
        through.handle(request, response);
      }),
    );
    expect((await examined(mcp)).ok).toBe(true);
    expect(requests).toBeGreaterThan(24);
    expect(requests).toBeLessThan(48);
  });

  test("and ends its sessions also when it is ended itself", async ({ onTestFinished }) => {
    const { mcp, node } = await started(onTestFinished, serve(yardstick));
    const stop = new AbortController();
    const target = { url: new URL(mcp), headers: [], insecure: false };
    const examining = examine(target, { idleMs: 30_000, signal: stop.signal });
    await eventually(async () => expect(await node.sessions()).toHaveLength(2));
    stop.abort();
    const report = await examining;
    expect(report.ok).toBe(false);
    expect(check(report, "idle-stream")).toMatchObject({ result: "not-run", why: "the examination was ended before" });
    expect(report.checks.filter(({ result }) => result === "failed")).toEqual([]);
    expect(await node.sessions()).toEqual([]);
  });

  test("with one server on the SDK's own transport, but for its 404 without words", async ({ onTestFinished }) => {
    const { url } = await started(onTestFinished, startSdkHost(yardstick));
    const report = await examined(url);
    expect(notOk(report)).toEqual({
      cookies: "not-run",
      "foreign-cookie": "not-run",
      "cookie-attributes": "not-run",
      "unknown-session": "warning",
    });
  });

  test("with a server that keeps no sessions", async ({ onTestFinished }) => {
    const { mcp } = await started(
      onTestFinished,
      listenWith(async (request, response) => {
        const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
        const server = new McpServer({ name: "stateless", version: "1.0.0" });
        await server.connect(transport);
        response.on("close", () => void transport.close());
        await transport.handleRequest(request, response);
      }),
    );
    const report = await examined(mcp);
    expect(check(report, "session-id").seen).toBe("none: the server keeps no sessions");
    expect(check(report, "cookieless").result).toBe("ok");
    expect(check(report, "unknown-session").result).toBe("not-run");
  });
});

describe.concurrent("the doctor finds what stands between a client and its session", () => {
  test("two servers behind round robin: pin by the session id", async ({ onTestFinished }) => {
    const [one, two] = [
      await started(onTestFinished, startSdkHost(yardstick)),
      await started(onTestFinished, startSdkHost(yardstick)),
    ];
    const { mcp } = await started(onTestFinished, startProxy([one.url, two.url]));
    const report = await examined(mcp);
    expect(report.ok).toBe(false);
    const { result, seen, why, mend } = check(report, "cookieless");
    expect(result).toBe("failed");
    expect(seen).toMatch(/^[4-8] of 12 requests failed, each on a connection of its own: [4-8] × 404/);
    expect(why).toContain("TypeScript SDKs");
    expect(mend).toContain("Pin requests by the Mcp-Session-Id header");
    expect(mend).toContain("stick store-response res.hdr(Mcp-Session-Id)");
    expect(mend).toContain("sticky learn create=$upstream_http_mcp_session_id");
    // What has nothing to do with it is found right all the same.
    for (const id of ["mcp", "stream-head", "stream-events", "large-body", "idle-stream"] as const) {
      expect(check(report, id)).toMatchObject({ result: "ok" });
    }
  });

  test("a cookie that leads to the session only over HTTPS, on plain HTTP", async ({ onTestFinished }) => {
    const [one, two] = [
      await started(onTestFinished, startSdkHost(yardstick)),
      await started(onTestFinished, startSdkHost(yardstick)),
    ];
    let sessions = 0;
    const { mcp } = await started(
      onTestFinished,
      startProxy([one.url, two.url], (answer, response) => {
        sessions += 1;
        const cookie = `lb=${sessions}; Path=/mcp; HttpOnly; Secure; SameSite=Strict`;
        response.writeHead(answer.statusCode ?? 502, { ...answer.headers, "set-cookie": cookie });
        response.flushHeaders();
        answer.pipe(response);
      }),
    );
    const report = await examined(mcp);
    expect(check(report, "cookie-attributes")).toMatchObject({
      result: "failed",
      seen: expect.stringContaining("Secure, but this is plain HTTP"),
      mend: expect.stringContaining("https://"),
    });
    expect(check(report, "cookies").result).toBe("not-run");
  });

  test("a proxy that buffers answers: nginx is told to stop it", async ({ onTestFinished }) => {
    const { url } = await started(onTestFinished, startSdkHost(yardstick));
    const { mcp } = await started(onTestFinished, startProxy([url], buffering));
    const report = await examined(mcp);
    expect(check(report, "stream-head")).toMatchObject({ result: "failed" });
    expect(check(report, "stream-events")).toMatchObject({
      result: "failed",
      seen: expect.stringContaining("of a call's stream"),
      mend: expect.stringContaining("proxy_buffering off;"),
    });
  });

  test.for([true, false])("a proxy that compresses streams (flushing: %s)", async (flushes, { onTestFinished }) => {
    const { url } = await started(onTestFinished, startSdkHost(yardstick));
    const { mcp } = await started(onTestFinished, startProxy([url], compressing(flushes)));
    const report = await examined(mcp);
    expect(check(report, "compression")).toMatchObject({
      result: "failed",
      seen: expect.stringContaining("Content-Encoding: gzip"),
      mend: expect.stringContaining("excludedContentTypes: [text/event-stream]"),
    });
    expect(check(report, "stream-events").result).toBe(flushes ? "ok" : "failed");
  });

  test("a proxy that cuts silent streams", async ({ onTestFinished }) => {
    const { mcp: behind } = await started(onTestFinished, serve(yardstick));
    const { mcp } = await started(onTestFinished, startProxy([behind], cutting(2_000)));
    const report = await examined(mcp, 3_000);
    expect(check(report, "idle-stream")).toMatchObject({
      result: "failed",
      seen: expect.stringMatching(/^The stream was cut after [23]\.\d s without traffic\.$/),
      mend: expect.stringContaining("proxy_read_timeout 1h;"),
    });
    expect(check(report, "slow-call")).toMatchObject({ result: "failed" });
  });

  test("a proxy that takes no large body: it is nginx, so only nginx is told what to do", async ({
    onTestFinished,
  }) => {
    const html = { server: "nginx/1.22.1", "content-type": "text/html" };
    const { mcp } = await started(
      onTestFinished,
      listenWith((request, response) => {
        if (request.method !== "POST") response.writeHead(405).end();
        else if (Number(request.headers["content-length"]) < 32_768) void answerAsServer(request, response);
        else response.writeHead(413, html).end("<center><h1>413 Request Entity Too Large</h1></center>");
      }),
    );
    const { seen, mend } = check(await examined(mcp), "large-body");
    expect(seen).toBe("A POST of 64 KiB: 413 (text/html: 413 Request Entity Too Large).");
    expect(mend).toContain("client_max_body_size 4m;");
    expect(mend).not.toContain("HAProxy");
  });

  test("a redirect that keeps the POST: a warning, and all is examined behind it", async ({ onTestFinished }) => {
    const { mcp: behind } = await started(onTestFinished, serve(yardstick));
    const { mcp } = await started(
      onTestFinished,
      listenWith((_, response) => void response.writeHead(307, { location: behind }).end()),
    );
    const report = await examined(mcp);
    expect(check(report, "redirect")).toMatchObject({ result: "warning", seen: `307 to ${behind}` });
    expect(report.ok).toBe(true);
  });

  test("a redirect that turns a POST into a GET", async ({ onTestFinished }) => {
    const { mcp: behind } = await started(onTestFinished, serve(yardstick));
    const { mcp } = await started(
      onTestFinished,
      listenWith((_, response) => void response.writeHead(301, { location: behind }).end()),
    );
    const report = await examined(mcp);
    expect(check(report, "redirect")).toMatchObject({ result: "failed", seen: `301 to ${behind}` });
    expect(check(report, "mcp").result).toBe("ok");
  });

  test("a server that answers an unknown session by 404 without a word, or by another status", async ({
    onTestFinished,
  }) => {
    const wordless = await examined((await started(onTestFinished, startSdkHost(yardstick))).url);
    expect(check(wordless, "unknown-session")).toMatchObject({
      result: "warning",
      seen: "An invented session id: 404 (without a body), without a JSON-RPC error.",
    });
    const { mcp } = await started(
      onTestFinished,
      listenWith((request, response) => {
        const known = request.headers["mcp-session-id"] === "one-session-for-all";
        if (request.method !== "POST" || (request.headers["mcp-session-id"] !== undefined && !known)) {
          response.writeHead(request.method === "GET" ? 405 : 400).end();
          return;
        }
        void answerAsServer(request, response);
      }),
    );
    const wrong = await examined(mcp);
    expect(check(wrong, "unknown-session")).toMatchObject({ result: "failed" });
    expect(check(wrong, "stream-head").result).toBe("not-run");
  });

  test("a server on this machine that every web page may use", async ({ onTestFinished }) => {
    const transports = new Map<string, NodeStreamableHTTPServerTransport>();
    const { mcp } = await started(
      onTestFinished,
      listenWith(async (request, response) => {
        let transport = transports.get(String(request.headers["mcp-session-id"]));
        if (transport === undefined) {
          const made = new NodeStreamableHTTPServerTransport({
            sessionIdGenerator: () => randomUUID(),
            onsessioninitialized: (id) => void transports.set(id, made),
          });
          await new McpServer({ name: "open", version: "1.0.0" }).connect(made);
          transport = made;
        }
        await transport.handleRequest(request, response);
      }),
    );
    const report = await examined(mcp);
    expect(check(report, "origin")).toMatchObject({ result: "failed", why: expect.stringContaining("DNS rebinding") });
  });
});

describe.concurrent("the doctor says why there is nothing to examine", () => {
  test("nothing listens", async () => {
    const report = await examined(`http://127.0.0.1:${await freePort()}/mcp`);
    expect(check(report, "reachable")).toMatchObject({
      result: "failed",
      seen: expect.stringContaining("connection refused"),
    });
    expect(report.checks.filter(({ result }) => result === "not-run")).toHaveLength(report.checks.length - 1);
  });

  test("what listens speaks no MCP", async ({ onTestFinished }) => {
    const html = { "content-type": "text/html" };
    const { mcp } = await started(
      onTestFinished,
      listenWith((_, response) => void response.writeHead(200, html).end("<h1>Welcome</h1>")),
    );
    const report = await examined(mcp);
    expect(check(report, "mcp")).toMatchObject({
      result: "failed",
      seen: "initialize: 200 (text/html: Welcome).",
      mend: expect.stringContaining("Is the path right?"),
    });
  });

  test("what listens speaks no HTTP, or never answers", async ({ onTestFinished }) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.resume().end("220 mail.example ESMTP\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.address() as { port: number };
    expect(check(await examined(`http://127.0.0.1:${port}/mcp`), "reachable").result).toBe("failed");
    expect(check(await examined(`https://127.0.0.1:${port}/mcp`), "reachable").result).toBe("failed");

    const { mcp } = await started(
      onTestFinished,
      listenWith(() => {}),
    );
    expect(check(await examined(mcp), "reachable")).toMatchObject({ seen: "no answer within 8 s" });
  });

  test("a header is missing; with it all is well", async ({ onTestFinished }) => {
    const { mcp: behind } = await started(onTestFinished, serve(yardstick));
    const through = await started(onTestFinished, startProxy([behind]));
    const guarded = await started(
      onTestFinished,
      listenWith((request, response) => {
        if (request.headers.authorization !== "Bearer t") response.writeHead(401).end();
        else through.handle(request, response);
      }),
    );
    const refused = await examined(guarded.mcp);
    expect(check(refused, "mcp")).toMatchObject({ result: "failed", mend: expect.stringContaining("--header") });
    const welcome = await examined(guarded.mcp, 300, { headers: [["Authorization", "Bearer t"]] });
    expect(welcome.ok).toBe(true);
  });

  test("a certificate that nobody trusts; the rest is examined nevertheless", async ({ onTestFinished }) => {
    const { mcp } = await started(onTestFinished, serve(yardstick));
    const { port, ca } = await started(onTestFinished, startTlsFront(Number(new URL(mcp).port)));
    const url = `https://localhost:${port}/mcp`;
    const report = await examined(url);
    expect(check(report, "https")).toMatchObject({
      result: "failed",
      seen: expect.stringContaining("signs itself"),
      mend: expect.stringContaining("--ca FILE"),
    });
    expect(check(report, "cookieless").result).toBe("ok");

    const secret = await examined(url, 300, { headers: [["Authorization", "Bearer t"]] });
    expect(check(secret, "mcp").result).toBe("not-run");

    const trusted = await examined(url, 300, { ca: [ca] });
    expect(trusted.ok).toBe(true);
    expect(check(trusted, "https").seen).toMatch(/^certificate by localhost, valid for \d+ more days$/);
  });
});
