import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { call, initialize } from "../support/raw-mcp.ts";

let cluster: Cluster;
beforeEach(async () => {
  // No sign of life is believed, however young: so that a freeze is met at once, and the lease is not over meanwhile.
  cluster = await startCluster({
    nodes: 3,
    server: "yardstick",
    args: ["--policy", "reject", "--lease", "20s", "--probe", "0ms"],
  });
});
afterEach(() => cluster?.stop());

const at = (index: number) => `${cluster.nodes[index]?.url}/mcp`;

describe("a request for a session whose node can't be reached", () => {
  test("is refused as misrouted, and soon, when the node is frozen", async () => {
    const session = await initialize(at(0));
    expect((await call(at(1), session, "where")).status).toBe(200);
    cluster.freeze(0);
    const began = performance.now();
    const { status, body } = await call(at(1), session, "where", {}, 7);
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(status).toBe(404);
    expect(body).toMatchObject({ id: 7, error: { data: { reason: "misrouted", next: "retry" } } });
    cluster.thaw(0);
    await cluster.waitFor(async () => (await call(at(1), session, "where")).status === 200, {
      deadline: 10_000,
      what: "the thawed node to serve its session again",
    });
  });

  test("is refused as owner-gone when the node is provably dead, though its lease is not over", async () => {
    const session = await initialize(at(0));
    await cluster.kill(0);
    const { status, body } = await call(at(1), session, "where", {}, 7);
    expect(status).toBe(404);
    expect(body).toMatchObject({ id: null, error: { data: { reason: "owner-gone", next: "initialize" } } });
  });

  test("ends gracefully, never hangs, when the node dies in the middle of its answer", async () => {
    const session = await initialize(at(0));
    const accept = "application/json, text/event-stream";
    const headers = { accept, "content-type": "application/json", "mcp-session-id": session };
    const params = { name: "sleep", arguments: { ms: 30_000, steps: 0 } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 8, method: "tools/call", params });
    // Both have their heads, with a priming event each: their clients can ask for the rest.
    const listening = await fetch(at(1), { headers });
    const calling = await fetch(at(1), { method: "POST", headers, body });
    await cluster.kill(0);
    expect(await listening.text()).toContain("id: s-0");
    expect(await calling.text()).toMatch(/^id: c\w+-0$/m);
  });
});
