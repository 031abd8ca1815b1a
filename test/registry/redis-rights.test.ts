import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { startValkey } from "../support/valkey.ts";
import { redisRegistry } from "./redis-backend.ts";

/** What a Redis user of Mooring has to be allowed; README and docs name the same. */
const rights =
  "+evalsha +eval +script|load +set +get +exists +hset +hget +hmget +hgetall +hdel +rpush +lpop +lindex +llen +lrange +pexpire +pttl +time +del +zadd +zrange +zscore +zrem +ttl +ping +publish +subscribe";

/** For replicas that writes wait for; without these two it is done without. */
const rightsForReplicas = "+info +wait";

describe("a Redis user with few rights", () => {
  test("needs these commands, Mooring's keys and its channels, and no more", async () => {
    const valkey = await startValkey({
      config: `user default on nopass resetkeys ~mcp:* resetchannels &mcp:closed &mcp:nodes-changed -@all ${rights} ${rightsForReplicas}`,
    });
    const log = new RecordedLog();
    const registry = redisRegistry(valkey.url, { log });
    await registry.start();
    const heard: string[] = [];
    registry.onClosed((id) => heard.push(id));
    const owner = { tag: "k3f9q2", incarnation: "first" };
    const session = { id: "k3f9q2.a", owner, epoch: 1, createdAt: 1 };
    const node = { name: "a", ...owner, url: "http://127.0.0.1:1", state: "up" as const, pid: 1, since: 1 };
    await registry.claim(session);
    expect(await registry.find(session.id)).toEqual(session);
    expect(await registry.renew([session.id])).toEqual([]);
    const events = [1, 2].map((sequence) => ({ stream: "s", sequence, json: "{}", at: Date.now() - 600_000 }));
    const call = { request: "1", hash: "h", stream: "c1", method: "tools/call", repeatable: false, at: 1 };
    const changes = { state: { a: "1", b: undefined }, events, begun: [call], ended: ["0"] };
    expect(await registry.write(session.id, session, changes)).toEqual({ kind: "written" });
    expect(await registry.claim(session)).toEqual({ kind: "claimed" });
    expect(await registry.handOver(session.id, 1, { owner, peer: "http://127.0.0.1:1" })).toMatchObject({
      session: { state: { a: "1" } },
    });
    expect(await registry.owners([session.id])).toEqual([{ owner, epoch: 2 }]);
    expect(await registry.generation("another")).toMatchObject({ lostAgoMs: 0 });
    expect(await registry.close(session.id)).toBe(true);
    expect(await registry.close(session.id, { remember: true })).toBe(false);
    await eventually(() => expect(heard).toEqual([session.id, session.id]));
    await registry.join(node, 100);
    expect(await registry.nodes()).toEqual([node]);
    await eventually(async () => expect(await registry.nodes()).toEqual([]));
    await registry.join(node, 5_000);
    expect(await registry.renewLease(node, 5_000)).toEqual({ kind: "renewed" });
    expect(await registry.join({ ...node, incarnation: "second" }, 5_000)).toMatchObject({ kind: "held", by: node });
    expect(await registry.sharedSecret("offered")).toBe("offered");
    expect(log.lines).toEqual([]);
    await registry.leave(node);
    expect(await registry.nodes()).toEqual([]);
    await registry.stop();
    await valkey.stop();
  });

  test("that may not ask for replicas writes all the same, and that no replica is waited for is logged once", async () => {
    const valkey = await startValkey({ config: "user default on nopass &* ~* +@all -info" });
    const log = new RecordedLog();
    const registry = redisRegistry(valkey.url, { log });
    await registry.start();
    const session = { id: "k3f9q2.a", owner: { tag: "k3f9q2", incarnation: "first" }, epoch: 1, createdAt: 1 };
    expect(await registry.claim(session)).toEqual({ kind: "claimed" });
    expect(await registry.close(session.id)).toBe(true);
    expect(log.lines).toMatchObject([
      { event: "registry-not-replicated", fields: { writes: 0, why: expect.stringContaining("NOPERM") } },
    ]);
    await registry.stop();
    await valkey.stop();
  });

  test("is refused at the start when it may not subscribe", async () => {
    const valkey = await startValkey({ config: "user default on nopass &* ~* +@all -subscribe" });
    const starting = redisRegistry(valkey.url).start();
    await expect(starting).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("NOPERM") });
    await expect(starting).rejects.toThrow("ACL SETUSER");
    await valkey.stop();
  });

  test("is told so by the call that it may not make, and Redis counts as reachable", async () => {
    const valkey = await startValkey({ config: "user default on nopass &* ~* +@all -pexpire" });
    const registry = redisRegistry(valkey.url);
    await registry.start();
    const changes: boolean[] = [];
    registry.onReachable((reachable) => changes.push(reachable));
    await expect(registry.renew(["k3f9q2.a"])).rejects.toMatchObject({ code: "refused" });
    expect(await registry.find("k3f9q2.a")).toBeUndefined();
    expect(changes).toEqual([]);
    await registry.stop();
    await valkey.stop();
  });
});
