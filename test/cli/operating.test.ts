import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { runMooring } from "../cluster/mooring-process.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3 });
});
afterAll(() => cluster?.stop());

/** Opens a session on a node of one's choice, and leaves it open. */
async function openSession(index: number): Promise<{ id: string; leave: () => Promise<void> }> {
  const transport = new StreamableHTTPClientTransport(new URL(`${cluster.nodes[index]?.url}/mcp`));
  const client = new Client({ name: "cli-test", version: "2.0.0" });
  await client.connect(transport);
  return { id: transport.sessionId ?? "", leave: () => client.close() };
}

const json = async (...args: string[]) => {
  const { code, stdout } = await cluster.mooring(...args, "--json");
  expect(code).toBe(0);
  return JSON.parse(stdout) as unknown;
};

test("mooring nodes tells each node's state", async () => {
  const expected = cluster.nodes.map(({ name, tag, pid, url, admin }) => ({
    ...{ name, tag, state: "up", sessions: expect.any(Number), pid, url, admin },
    since: expect.any(Number),
  }));
  expect(await json("nodes")).toEqual(expected);
  // Any node's admin listener tells the same.
  expect(await json("nodes", "--url", cluster.nodes[2]?.admin ?? "")).toEqual(expected);
  const { stdout } = await cluster.mooring("nodes");
  expect(stdout).toMatch(
    /^NODE +TAG +STATE +SESSIONS +PID +URL +ADMIN +UP FOR\nnode-1 +[0-9a-z]{6} +up +\d+ +\d+ +http/,
  );
});

test("mooring sessions lists the sessions of all nodes, or shows one", async () => {
  const opened = [await openSession(0), await openSession(1)];
  const all = (await json("sessions")) as { id: string; node: string }[];
  for (const [index, { id }] of opened.entries()) {
    const view = {
      ...{ id, node: `node-${index + 1}`, home: cluster.nodes[index]?.tag, epoch: 1 },
      ...{ createdAt: expect.any(Number), lastSeenAt: expect.any(Number), client: "cli-test/2.0.0" },
      ...{ protocolVersion: "2025-11-25", streams: expect.any(Number), inFlight: 0, principal: null },
    };
    expect(all.find((session) => session.id === id)).toEqual(view);
    expect(await json("sessions", id)).toEqual(view);
    // Asked at a node that does not own it.
    expect(await json("sessions", id, "--url", cluster.nodes[2]?.admin ?? "")).toEqual(view);
  }
  expect((await cluster.mooring("sessions")).stdout).toContain(`${opened[0]?.id}  node-1  cli-test/2.0.0`);
  expect((await cluster.mooring("sessions", opened[0]?.id ?? "")).stdout).toMatch(/^id +\S+\nnode +node-1\n/);
  for (const { leave } of opened) await leave();
});

test("mooring close ends a session wherever it lives", async () => {
  const first = await openSession(0);
  expect(await json("close", first.id)).toEqual({ id: first.id, closed: true });
  const second = await openSession(1);
  const { code, stdout } = await cluster.mooring("close", second.id, "--url", cluster.nodes[0]?.admin ?? "");
  expect([code, stdout]).toEqual([0, `Session ${second.id} is closed.\n`]);
  await cluster.waitForLog("session-closed", ({ session, node }) => session === second.id && node === "node-2");
  const left = ((await json("sessions")) as { id: string }[]).map(({ id }) => id);
  expect(left).not.toContain(first.id);
  expect(left).not.toContain(second.id);
  for (const { leave } of [first, second]) await leave();
});

test("a session that nobody knows makes them fail, and say so", async () => {
  const id = `${cluster.nodes[0]?.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`;
  for (const command of ["sessions", "close"]) {
    const plain = await cluster.mooring(command, id);
    expect(plain.code).toBe(1);
    expect(plain.stderr).toMatch(new RegExp(`^mooring: No session ${id} was found\\. List the sessions .*\\n$`));
    const forPrograms = await cluster.mooring(command, id, "--json");
    expect(forPrograms).toMatchObject({ code: 1, stdout: "", stderr: "" });
    expect(forPrograms.logs).toMatchObject([{ level: "error", event: "command-failed", code: "unknown-session" }]);
  }
});

test("an address that is no admin listener's is said to be none", async () => {
  const { code, stderr } = await cluster.mooring("nodes", "--url", cluster.nodes[0]?.url ?? "");
  expect(code).toBe(1);
  expect(stderr).toMatch(/is no admin address: it answers \/api\/nodes with 404\. Give a node's admin address/);
});

test("a node that does not answer is down, and its sessions are said to be missing", async () => {
  const { id, leave } = await openSession(0);
  cluster.freeze(2);
  try {
    const nodes = (await json("nodes")) as { name: string; state: string }[];
    expect(nodes.map(({ name, state }) => `${name} ${state}`)).toEqual(["node-1 up", "node-2 up", "node-3 down"]);
    const { code, stdout, stderr } = await cluster.mooring("sessions");
    expect(code).toBe(0);
    expect(stdout).toContain(id);
    expect(stderr).toBe("These nodes did not answer, and their sessions are missing here: node-3.\n");
    const forPrograms = await cluster.mooring("sessions", "--json");
    expect((JSON.parse(forPrograms.stdout) as { id: string }[]).map((session) => session.id)).toContain(id);
    expect(forPrograms.logs).toMatchObject([{ level: "warn", event: "nodes-silent", nodes: ["node-3"] }]);
  } finally {
    cluster.thaw(2);
  }
  await leave();
});

describe("the admin listener", () => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${cluster.nodes[0]?.admin}${path}`, { headers });

  test("tells health and figures", async () => {
    expect((await get("/livez")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
    const metrics = await (await get("/metrics")).text();
    for (const name of [
      "mooring_requests_total",
      "mooring_sessions",
      "mooring_streams",
      "mooring_registry_failures_total",
    ]) {
      expect(metrics).toContain(`# TYPE ${name} `);
    }
    const page = await get("/");
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(await page.text()).toContain("Mooring node node-1");
  });

  test("answers for its node alone when asked to", async () => {
    const nodes = (await (await get("/api/nodes?scope=node")).json()) as { name: string }[];
    expect(nodes.map(({ name }) => name)).toEqual(["node-1"]);
  });

  test("tells errors as JSON with a code and the next step", async () => {
    for (const [path, init, status, code] of [
      ["/api/sessions/nobody", {}, 404, "unknown-session"],
      ["/api/sessions/%zz", {}, 404, "unknown-session"],
      ["/api/elsewhere", {}, 404, "no-such-path"],
      ["/api/nodes", { method: "POST" }, 405, "method-not-allowed"],
    ] as const) {
      const answer = await fetch(`${cluster.nodes[0]?.admin}${path}`, init);
      expect(answer.status).toBe(status);
      expect(await answer.json()).toEqual({ code, message: expect.any(String), next: expect.any(String) });
    }
  });

  test("is for this machine alone: no foreign Host, and no other site may read it", async () => {
    const { request } = await import("undici");
    const origin = { host: "evil.example", origin: "http://evil.example" };
    const foreign = await request(`${cluster.nodes[0]?.admin}/api/sessions`, { headers: origin });
    expect(foreign.statusCode).toBe(403);
    expect(await foreign.body.json()).toMatchObject({ code: "host-not-allowed" });
    const preflight = await fetch(`${cluster.console}/api/sessions/x`, {
      method: "OPTIONS",
      headers: { origin: "http://evil.example", "access-control-request-method": "DELETE" },
    });
    expect(preflight.status).toBe(403);
    expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
  });
});

test("without a cluster they say how to get one", async () => {
  const nowhere = { environment: { XDG_STATE_HOME: "/nonexistent/state" } };
  const { code, stderr } = await runMooring(["nodes"], nowhere);
  expect(code).toBe(1);
  expect(stderr).toBe(
    "mooring: No local cluster runs. Start one with mooring up, or name a node's admin address with --url.\n",
  );
  const refused = await runMooring(["nodes", "--url", "http://127.0.0.1:1"], nowhere);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^mooring: http:\/\/127\.0\.0\.1:1 does not answer: .*\n$/);
  expect((await runMooring(["nodes", "--url", "nonsense"], nowhere)).code).toBe(2);
});
