import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RegistryError, type SessionRecord } from "../../src/ports/registry.ts";
import { DeferredWrites } from "../../src/registry/deferred-writes.ts";
import { redisKeys } from "../../src/registry/redis/keys.ts";
import type { RedisRegistry } from "../../src/registry/redis/redis-registry.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { startValkeyCluster, type ValkeyCluster } from "../support/valkey-cluster.ts";
import { RegistryChild } from "./child.ts";
import { redisRegistry } from "./redis-backend.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };
const session = (id: string) => ({ id, owner, epoch: 1, createdAt: 1_760_000_000_000 });
const ids = Array.from({ length: 24 }, (_, index) => `k3f9q2.${index}`);

/** How many connections of Mooring listen for closes on this server. */
async function listenersOf({ url }: Valkey): Promise<number> {
  const client = createClient({ url });
  await client.connect();
  const list = String(await client.sendCommand(["CLIENT", "LIST"]));
  client.destroy();
  return list.split("\n").filter((line) => / name=mooring .* sub=[1-9]/.test(line)).length;
}

describe("when one shard of a Redis Cluster fails", () => {
  let cluster: ValkeyCluster;
  let registry: RedisRegistry;
  let other: RedisRegistry;

  beforeEach(async () => {
    // A cluster whose other shards go on serving, as with replicas they would after a failover.
    cluster = await startValkeyCluster(["--cluster-require-full-coverage", "no"]);
    registry = redisRegistry(cluster.url);
    other = redisRegistry(cluster.url);
    await Promise.all([registry.start(), other.start()]);
  });
  afterEach(async () => {
    await Promise.all([registry.stop(), other.stop()]);
    await cluster.stop();
  });

  /** Which of many sessions can be found, and that the others fail in an orderly way. */
  async function findable(): Promise<number> {
    const outcomes = await Promise.allSettled(ids.map((id) => registry.find(id)));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(RegistryError);
    }
    return outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value !== undefined).length;
  }

  test.each(["killed", "frozen"] as const)("%s: the others serve, and it does again when it is back", async (how) => {
    for (const id of ids) await registry.claim(session(id));
    expect(await findable()).toBe(ids.length);
    const victim = cluster.servers[1] as Valkey;
    if (how === "killed") await victim.kill();
    else victim.freeze();
    await eventually(async () => {
      const found = await findable();
      expect(found).toBeGreaterThan(0);
      expect(found).toBeLessThan(ids.length);
    });
    const writes = new DeferredWrites({ registry, log: new RecordedLog(), onLost: () => {}, retryEveryMs: 500 });
    const claim = (record: SessionRecord) => writes.claim(record.id, () => registry.claim(record));
    const outcomes = await Promise.all(ids.map((id) => claim(session(`${id}-more`))));
    expect(new Set(outcomes)).toEqual(new Set(["written", "deferred"]));

    let revived: Valkey | undefined;
    if (how === "killed") revived = await cluster.revive(1);
    else victim.thaw();
    await eventually(() => expect(writes.counts().pending).toBe(0), 20_000);
    const all = await Promise.all(ids.map((id) => registry.find(`${id}-more`)));
    expect(all.filter((found) => found !== undefined)).toHaveLength(ids.length);
    await writes.stop();
    await revived?.stop();
  });

  test.each([0, 1, 2])("whichever it is: when it is back empty, the generation is another one", async (index) => {
    const { id } = await registry.generation(undefined);
    expect(await other.generation(id)).toEqual({ id });
    await (cluster.servers[index] as Valkey).kill();
    await eventually(() => expect(other.generation(id)).rejects.toMatchObject({ code: "unavailable" }));
    const revived = await cluster.revive(index);
    const after = await eventually(() => other.generation(id), 20_000);
    expect(after).toMatchObject({ lostAgoMs: expect.any(Number) });
    expect(after.id).not.toBe(id);
    expect((await registry.generation(id)).id).toBe(after.id);
    await revived.stop();
  });

  test("the keys that tell so are spread evenly over the slots", async () => {
    const client = createClient({ url: cluster.servers[0]?.url ?? "" });
    await client.connect();
    const slots: number[] = [];
    for (const key of redisKeys("trips").generations) {
      slots.push(Number(await client.sendCommand(["CLUSTER", "KEYSLOT", key])));
    }
    client.destroy();
    expect(slots.map((slot) => Math.floor(slot / 1_024))).toEqual(slots.map((_, index) => index));
    for (const slot of slots) expect(Math.abs((slot % 1_024) - 512)).toBeLessThan(32);
  });

  test("closes are heard also when the node that was listened to is lost", async () => {
    const heard = [new Set<string>(), new Set<string>()];
    registry.onClosed((id) => heard[0]?.add(id));
    other.onClosed((id) => heard[1]?.add(id));
    const listeners = await Promise.all(cluster.servers.map(listenersOf));
    const busiest = listeners.indexOf(Math.max(...listeners));
    await (cluster.servers[busiest] as Valkey).kill();
    let sent = 0;
    for (const closed of heard) {
      await eventually(async () => {
        sent += 1;
        await other.close(`k3f9q2.${sent}`).catch(() => {});
        expect(closed.size).toBeGreaterThan(0);
      }, 20_000);
    }
  });

  test("with no server left, a process that stops its registry ends by itself", async () => {
    const child = new RegistryChild(cluster.url, { wait: true });
    await child.prints("claimed");
    await Promise.all(cluster.servers.map((server) => server.kill()));
    child.goOn();
    const { status, stderr } = await child.ends();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  test("a URL that names one member as if it were the only server leads to the cluster's URL", async () => {
    const errors: string[] = [];
    for (const { url } of cluster.servers) {
      const lone = redisRegistry(url);
      await lone.start().catch((error: Error) => errors.push(error.message));
      await lone.stop();
    }
    // The one that holds the slot of the first key asked for can't tell yet.
    expect(errors).toHaveLength(2);
    for (const message of errors) expect(message).toContain("use redis+cluster:// in place of redis://");
  });

  test("a URL whose other addresses are dead still leads to the cluster", async () => {
    const dead = await startValkey();
    await dead.kill();
    const [, hosts = ""] = cluster.url.split("//");
    const late = redisRegistry(`redis+cluster://127.0.0.1:${dead.port},${hosts}`);
    await late.start();
    expect(await late.find("k3f9q2.a")).toBeUndefined();
    await late.stop();
    await dead.stop();
  });
});
