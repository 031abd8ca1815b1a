import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RedisRegistry } from "../../src/registry/redis/redis-registry.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { startValkeyCluster } from "../support/valkey-cluster.ts";
import { redisRegistry } from "./redis-backend.ts";
import { type SlowWay, startSlowWay } from "./slow-way.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };
const session = (id: string) => ({ id, owner, epoch: 1, createdAt: 1_760_000_000_000 });

type Client = ReturnType<typeof clientFor>;

function clientFor({ url }: Valkey) {
  return createClient({ url });
}

async function connected(valkey: Valkey): Promise<Client> {
  const client = clientFor(valkey);
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Resolves when the replica follows. Its primary calls it online already while it loads what there was before. */
async function follows(replica: Client): Promise<void> {
  await eventually(async () => expect(String(await replica.info("replication"))).toContain("master_link_status:up"));
}

async function waitsOf(primary: Client): Promise<number> {
  return Number(/cmdstat_wait:calls=(\d+)/.exec(String(await primary.info("commandstats")))?.[1] ?? 0);
}

describe("on a Redis with a replica", () => {
  let primary: Valkey;
  let replica: Valkey;
  let way: SlowWay;
  let onPrimary: Client;
  let onReplica: Client;
  let log: RecordedLog;
  let registry: RedisRegistry;

  beforeEach(async () => {
    primary = await startValkey({ args: ["--repl-diskless-sync-delay", "0"] });
    // Slower than an answer is, so that only a write that waited is there by then.
    way = await startSlowWay(primary.port, 15);
    replica = await startValkey({ args: ["--replicaof", "127.0.0.1", String(way.port)] });
    [onPrimary, onReplica] = [await connected(primary), await connected(replica)];
    await follows(onReplica);
    log = new RecordedLog();
    registry = redisRegistry(primary.url, { log });
    await registry.start();
  });
  afterEach(async () => {
    await registry.stop();
    for (const client of [onPrimary, onReplica]) client.destroy();
    await Promise.all([primary.stop(), replica.stop(), way.stop()]);
  });

  test("what was claimed, written, handed over or closed is on the replica when the call is answered", async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = `k3f9q2.${round}`;
      const key = `mcp:session:{${id}}`;
      await registry.claim(session(id));
      expect(await onReplica.exists(key)).toBe(1);
      await registry.write(id, session(id), { state: { round: String(round) } });
      expect(await onReplica.hGet(`${key}:state`, "round")).toBe(String(round));
      await registry.handOver(id, 1, { owner });
      expect(await onReplica.hGet(key, "epoch")).toBe("2");
      await registry.close(id);
      expect(await onReplica.exists([key, `${key}:state`])).toBe(0);
    }
    expect(registry.unreplicatedWrites).toBe(0);
    expect(log.lines).toEqual([]);
  });

  test("many writes at once share their waits, and reads wait for nothing", async () => {
    const before = await waitsOf(onPrimary);
    await Promise.all(Array.from({ length: 500 }, (_, number) => registry.claim(session(`k3f9q2.${number}`))));
    expect(await onReplica.dbSize()).toBe(500);
    const after = await waitsOf(onPrimary);
    expect(after - before).toBeLessThan(20);
    await registry.find("k3f9q2.1");
    await registry.renew(["k3f9q2.1"]);
    await registry.owners(["k3f9q2.1"]);
    expect(await waitsOf(onPrimary)).toBe(after);
  });

  test("one that hangs slows one write by a tenth of a second and fails none; it is logged and counted", async () => {
    replica.freeze();
    const before = performance.now();
    expect(await registry.claim(session("k3f9q2.slow"))).toEqual({ kind: "claimed" });
    expect(performance.now() - before).toBeGreaterThan(90);
    const later = performance.now();
    for (let number = 0; number < 10; number += 1) await registry.claim(session(`k3f9q2.${number}`));
    expect(performance.now() - later).toBeLessThan(500);
    expect(registry.unreplicatedWrites).toBe(11);
    const why = "no replica had it within 100 ms";
    expect(log.lines).toEqual([
      { level: "warn", event: "registry-not-replicated", fields: { redis: primary.url, writes: 1, why } },
    ]);
    replica.thaw();
    await eventually(async () => {
      const told = registry.unreplicatedWrites;
      await registry.claim(session("k3f9q2.again"));
      expect(registry.unreplicatedWrites).toBe(told);
    });
    expect(await onReplica.exists("mcp:session:{k3f9q2.again}")).toBe(1);
  });

  test("one that is gone is not waited for any more", async () => {
    await replica.kill();
    await eventually(async () => expect(String(await onPrimary.info("replication"))).toContain("connected_slaves:0"));
    await registry.claim(session("k3f9q2.a"));
    await eventually(async () => {
      const [waits, before] = [await waitsOf(onPrimary), performance.now()];
      await registry.claim(session("k3f9q2.b"));
      expect(performance.now() - before).toBeLessThan(50);
      expect(registry.unreplicatedWrites).toBeLessThan(2);
      expect(await waitsOf(onPrimary)).toBe(waits);
    });
  });
});

test("in a Redis Cluster, writes wait for a replica of the shard that they go to, and for none elsewhere", async () => {
  const cluster = await startValkeyCluster();
  const [primary] = cluster.servers as [Valkey];
  const bus = ["--cluster-enabled", "yes", "--cluster-port", String(await freePort())];
  const replica = await startValkey({ args: [...bus, "--cluster-node-timeout", "2000"] });
  const [onPrimary, onReplica] = [await connected(primary), await connected(replica)];
  const registry = redisRegistry(cluster.url);
  try {
    const id = String(await onPrimary.sendCommand(["CLUSTER", "MYID"]));
    const nodes = String(await onPrimary.sendCommand(["CLUSTER", "NODES"]));
    const itsBus = /:(\d+)@(\d+)\S* myself/.exec(nodes)?.[2] ?? "";
    await onReplica.sendCommand(["CLUSTER", "MEET", "127.0.0.1", String(primary.port), itsBus]);
    await eventually(() => onReplica.sendCommand(["CLUSTER", "REPLICATE", id]), 10_000);
    await follows(onReplica);
    await onReplica.sendCommand(["READONLY"]);
    await registry.start();
    const ids = Array.from({ length: 60 }, (_, number) => `k3f9q2.${number}`);
    const started = performance.now();
    let here = 0;
    for (const each of ids) {
      await registry.claim(session(each));
      const slot = Number(await onPrimary.sendCommand(["CLUSTER", "KEYSLOT", `mcp:session:{${each}}`]));
      if (slot > 5460) continue;
      here += 1;
      expect(await onReplica.exists(`mcp:session:{${each}}`)).toBe(1);
    }
    expect(performance.now() - started).toBeLessThan(60 * 50);
    expect(here).toBeGreaterThan(5);
    // One more for the first, which finds that the script isn't there yet.
    expect(await waitsOf(onPrimary)).toBe(here + 1);
    expect(registry.unreplicatedWrites).toBe(0);
  } finally {
    await registry.stop();
    for (const client of [onPrimary, onReplica]) client.destroy();
    await replica.stop();
    await cluster.stop();
  }
});
