import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { type RealTraefik, startTraefik } from "../edge/real-traefik.ts";
import { total } from "../support/metric.ts";
import { runPython } from "../support/python.ts";
import { expectPinnedAndSpread, sessionsOf } from "./sessions.ts";

const full = process.env.MOORING_FULL === "1";
const sessions = full ? 200 : 30;
const calls = full ? 20 : 8;

let cluster: Cluster;
let ignorant: RealTraefik;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, server: "yardstick" });
  // A balancer that knows nothing of sessions: neither pins nor a cookie.
  const nodes = cluster.nodes.map(({ name, tag, url }) => ({ name, tag, url, state: "up" as const }));
  ignorant = await startTraefik({ nodes }, { affinity: [] });
});
afterAll(async () => {
  await ignorant?.stop();
  await cluster?.stop();
});

const relayed = () => total(cluster, "mooring_requests_total", { way: "relay" });
const refused = () => total(cluster, "mooring_requests_total", { way: "refused" });

describe("unmodified clients, through Traefik and without cookies", () => {
  test.each(["v1", "v2"] as const)(
    "TypeScript SDK %s: each session on one node, no call fails, none is relayed",
    { timeout: 300_000 },
    async (sdk) => {
      const before = await relayed();
      expectPinnedAndSpread(await sessionsOf(sdk, cluster.mcp, sessions, calls), 3);
      expect(await relayed()).toBe(before);
      expect(await refused()).toBe(0);
    },
  );

  test.each(["1.29.0", "2.3.0"] as const)(
    "Python SDK %s, over plain HTTP, where its secure cookie is of no use",
    { timeout: 300_000 },
    async (sdk) => {
      const before = await relayed();
      const nodes = await runPython<string[][]>(
        sdk,
        "sessions.py",
        [cluster.mcp, String(full ? 200 : 15), String(calls)],
        {
          timeoutMs: 280_000,
        },
      );
      expectPinnedAndSpread(nodes, 3);
      expect(await relayed()).toBe(before);
      expect(await refused()).toBe(0);
    },
  );
});

describe("unmodified clients behind a balancer that knows nothing", () => {
  test.each(["v1", "v2"] as const)("TypeScript SDK %s: relays serve every call", { timeout: 300_000 }, async (sdk) => {
    const before = await relayed();
    expectPinnedAndSpread(await sessionsOf(sdk, `${ignorant.http}/mcp`, sessions, calls), 3);
    expect(await relayed()).toBeGreaterThan(before);
    expect(await refused()).toBe(0);
  });

  test.each(["1.29.0", "2.3.0"] as const)(
    "Python SDK %s: relays serve every call",
    { timeout: 300_000 },
    async (sdk) => {
      const args = [`${ignorant.http}/mcp`, String(full ? 200 : 15), String(calls)];
      expectPinnedAndSpread(await runPython<string[][]>(sdk, "sessions.py", args, { timeoutMs: 280_000 }), 3);
      expect(await refused()).toBe(0);
    },
  );
});
