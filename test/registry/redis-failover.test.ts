import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionRecord } from "../../src/ports/registry.ts";
import { DeferredWrites } from "../../src/registry/deferred-writes.ts";
import type { RedisRegistry } from "../../src/registry/redis/redis-registry.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { startValkeySentinels, type ValkeySentinels } from "../support/valkey-sentinels.ts";
import { RegistryChild } from "./child.ts";
import { redisRegistry } from "./redis-backend.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };
const session = (id: string) => ({ id, owner, epoch: 1, createdAt: 1_760_000_000_000 });

/** Shorter than usual, so that a silent primary is given up sooner. */
const deadlines = { connect: 1_500, silence: 1_000 };

describe("when Sentinels move the primary", () => {
  let sentinels: ValkeySentinels;
  let registry: RedisRegistry;
  let other: RedisRegistry;
  let writes: DeferredWrites;

  const claim = (record: SessionRecord) => writes.claim(record.id, () => registry.claim(record));

  beforeEach(async () => {
    sentinels = await startValkeySentinels();
    registry = redisRegistry(sentinels.url, { deadlines });
    other = redisRegistry(sentinels.url, { deadlines });
    await Promise.all([registry.start(), other.start()]);
    writes = new DeferredWrites({ registry, log: new RecordedLog(), onLost: () => {}, retryEveryMs: 500 });
  });
  afterEach(async () => {
    await writes.stop();
    await Promise.all([registry.stop(), other.stop()]);
    await sentinels.stop();
  });

  /** Everything that a node needs works, on the former replica. */
  async function worksOnTheReplica(): Promise<void> {
    const heard: string[] = [];
    registry.onClosed((id) => heard.push(id));
    const client = createClient({ url: sentinels.replica.url });
    // Sentinels end all connections to a server whose part they change.
    client.on("error", () => {});
    await client.connect();
    await eventually(async () => {
      await registry.claim(session("k3f9q2.after"));
      expect(await client.exists("mcp:session:{k3f9q2.after}")).toBe(1);
    }, 30_000);
    let sent = 0;
    await eventually(async () => {
      sent += 1;
      await other.close(`k3f9q2.${sent}`);
      expect(heard).not.toEqual([]);
    }, 20_000);
    client.destroy();
  }

  test("its death: nothing that was answered while a replica followed is lost", async () => {
    const answered: string[] = [];
    const told = registry.unreplicatedWrites;
    const writing = Array.from({ length: 20 }, async (_, writer) => {
      const record = session(`k3f9q2.${writer}`);
      await registry.claim(record);
      for (let number = 1; ; number += 1) {
        await registry.write(record.id, record, { state: { [`n${number}`]: "1" } });
        answered.push(`${record.id} n${number}`);
      }
    });
    const ended = Promise.allSettled(writing);
    await eventually(() => expect(answered.length).toBeGreaterThan(500));
    await sentinels.primary.kill();
    await ended;
    // Else the next lines would prove nothing.
    expect(registry.unreplicatedWrites).toBe(told);
    const client = createClient({ url: sentinels.replica.url });
    client.on("error", () => {});
    await client.connect();
    const missing: string[] = [];
    for (const each of answered) {
      const [id, key] = each.split(" ") as [string, string];
      if (!(await client.hExists(`mcp:session:{${id}}:state`, key))) missing.push(each);
    }
    client.destroy();
    expect(missing).toEqual([]);
    expect(answered.length).toBeGreaterThan(500);
  });

  test("its death: what was written meanwhile reaches the new primary, and closes are heard there", async () => {
    await claim(session("k3f9q2.before"));
    await sentinels.primary.kill();
    await eventually(async () => expect(await claim(session("k3f9q2.during"))).toBe("deferred"));
    await worksOnTheReplica();
    await eventually(() => expect(writes.counts().pending).toBe(0));
    expect(await other.find("k3f9q2.during")).toEqual(session("k3f9q2.during"));
  });

  test("its freeze: the new primary is used, and the thawed one is not", async () => {
    sentinels.primary.freeze();
    await expect(registry.claim(session("k3f9q2.frozen"))).rejects.toMatchObject({ code: "unavailable" });
    await worksOnTheReplica();
    sentinels.primary.thaw();
    await registry.claim(session("k3f9q2.later"));
    expect(await other.find("k3f9q2.later")).toEqual(session("k3f9q2.later"));
  });

  test("on request: the former primary, now a replica, is left", async () => {
    const client = createClient({ url: sentinels.sentinels[0]?.url ?? "" });
    await client.connect();
    await client.sendCommand(["SENTINEL", "FAILOVER", "trips"]);
    client.destroy();
    await worksOnTheReplica();
  });

  test("with two of three Sentinels gone, a registry still starts", async () => {
    await Promise.all(sentinels.sentinels.slice(0, 2).map((sentinel) => sentinel.kill()));
    const late = redisRegistry(sentinels.url);
    await late.start();
    await late.claim(session("k3f9q2.late"));
    await late.stop();
  });

  test("with nothing left, a process that stops its registry ends by itself", async () => {
    const child = new RegistryChild(sentinels.url, { wait: true });
    await child.prints("claimed");
    await Promise.all([sentinels.primary, sentinels.replica, ...sentinels.sentinels].map((valkey) => valkey.kill()));
    child.goOn();
    const { status, stderr } = await child.ends();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
