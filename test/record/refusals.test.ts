import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { call, endSession, initialize } from "../support/raw-mcp.ts";

let cluster: Cluster;
let redis: ReturnType<typeof createClient>;

async function start(): Promise<void> {
  const args = ["--relay", "off", "--affinity", "cookie", "--policy", "reject", "--lease", "2s", "--renew", "500ms"];
  cluster = await startCluster({ nodes: 3, server: "yardstick", args });
  redis = createClient({ url: cluster.redis.url });
  await redis.connect();
}

async function stop(): Promise<void> {
  redis?.destroy();
  await cluster?.stop();
}

/** The address of each node's own `/mcp`, so that a test chooses where its request lands. */
const at = (index: number) => `${cluster.nodes[index]?.url}/mcp`;
const keyOf = (session: string) => `mcp:session:{${session}}`;

describe("while all nodes are up", () => {
  beforeAll(start);
  afterAll(stop);

  test("a client without cookies gets through the edge what its luck gives it: an answer, or misrouted and the way on", async () => {
    const session = await initialize(cluster.mcp);
    const answers = [];
    for (let id = 1; id <= 12; id += 1) answers.push(await call(cluster.mcp, session, "where", {}, id));
    const refused = answers.filter(({ status }) => status === 404);
    expect(answers.filter(({ status }) => status === 200).length + refused.length).toBe(12);
    expect(refused.length).toBeGreaterThan(0);
    for (const { body } of refused) {
      expect(body.error?.code).toBe(-32001);
      expect(body.error?.data).toEqual({ reason: "misrouted", next: "retry" });
      expect(body.id).toBeTypeOf("number");
    }
    await cluster.waitForLog("misrouted", (line) => line.session === session);
  });

  test("an invented id gets unknown, which the log tells from a misroute", async () => {
    const invented = `${cluster.nodes[0]?.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`;
    const { status, body } = await call(at(0), invented, "where");
    expect(status).toBe(404);
    expect(body).toMatchObject({ id: null, error: { code: -32001, data: { reason: "unknown", next: "initialize" } } });
    await cluster.waitForLog("unknown", (line) => line.session === invented);
    expect(cluster.logs().some((line) => line.event === "misrouted" && line.session === invented)).toBe(false);
  });

  test("a close on another node than the owner's removes the key, and the owner drops its copy", async () => {
    const session = await initialize(at(0));
    expect(await redis.exists(keyOf(session))).toBe(1);
    expect(await endSession(at(1), session)).toBe(200);
    expect(await redis.exists(keyOf(session))).toBe(0);
    await cluster.waitFor(async () => (await call(at(0), session, "where")).status === 404, {
      deadline: 5_000,
      what: "the owner to drop its copy",
    });
    expect((await call(at(0), session, "where")).body.error?.data?.reason).toBe("closed");
    expect((await call(at(1), session, "where")).body.error?.data?.reason).toBe("unknown");
  });
});

describe("after a node's death", () => {
  beforeEach(start);
  afterEach(stop);

  test("its sessions get owner-gone on every other node, and a close still removes the key", async () => {
    const session = await initialize(at(0));
    await cluster.kill(0);
    await cluster.waitFor(async () => (await call(at(1), session, "where")).body.error?.data?.reason === "owner-gone", {
      deadline: 10_000,
      what: "the dead node's lease to be over",
    });
    const { status, body } = await call(at(2), session, "where");
    expect(status).toBe(404);
    expect(body).toMatchObject({
      id: null,
      error: { code: -32001, data: { reason: "owner-gone", next: "initialize" } },
    });
    expect(await redis.exists(keyOf(session))).toBe(1);
    expect(await endSession(at(1), session)).toBe(200);
    expect(await redis.exists(keyOf(session))).toBe(0);
    expect((await call(at(1), session, "where")).body.error?.data?.reason).toBe("unknown");
  });
});
