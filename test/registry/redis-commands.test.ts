import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { mintSessionId, randomBytesPerId } from "../../src/model/session-id.ts";
import type { RedisRegistry } from "../../src/registry/redis/redis-registry.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { redisRegistry } from "./redis-backend.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };
const session = (id: string) => ({ id, owner, epoch: 1, createdAt: 1_760_000_000_000, client: "inspector/1.0" });
const node = {
  name: "node-1",
  tag: "k3f9q2",
  incarnation: "first",
  url: "http://127.0.0.1:3001",
  state: "up" as const,
  pid: 4711,
  since: 1_760_000_000_000,
};

describe("what Redis holds and is asked", () => {
  let valkey: Valkey;
  let registry: RedisRegistry;
  let admin: ReturnType<typeof createClient>;

  beforeAll(async () => {
    valkey = await startValkey();
    admin = createClient({ url: valkey.url });
    await admin.connect();
  });
  beforeEach(async () => {
    await admin.sendCommand(["FLUSHALL"]);
    registry = redisRegistry(valkey.url);
    await registry.start();
    return () => registry.stop();
  });
  afterAll(async () => {
    admin?.destroy();
    await valkey?.stop();
  });

  /** What clients sent, apart from what scripts ran and from this test's own commands. */
  async function sentDuring(act: () => Promise<unknown>): Promise<string[]> {
    const watcher = createClient({ url: valkey.url });
    await watcher.connect();
    const seen: string[] = [];
    await watcher.monitor((line: unknown) => {
      const [, source, command] = /^\S+ \[\d+ (\S+)\] "(\w+)"/.exec(String(line)) ?? [];
      if (source !== undefined && source !== "lua" && command !== undefined) seen.push(command.toUpperCase());
    });
    await act();
    await admin.echo("the end");
    while (!seen.includes("ECHO")) await new Promise((resolve) => setTimeout(resolve, 5));
    watcher.destroy();
    return seen.filter((command) => command !== "ECHO");
  }

  test("a session is a hash under its contractual key, for 30 days", async () => {
    await registry.claim(session("k3f9q2.abc"));
    const key = "mcp:session:{k3f9q2.abc}";
    expect(await admin.keys("*")).toEqual([key]);
    expect({ ...(await admin.hGetAll(key)) }).toEqual({
      owner: "k3f9q2",
      incarnation: "first",
      epoch: "1",
      createdAt: "1760000000000",
      client: "inspector/1.0",
    });
    const thirtyDays = 30 * 24 * 60 * 60;
    expect(await admin.ttl(key)).toBeGreaterThan(thirtyDays - 60);
    expect(await admin.ttl(key)).toBeLessThanOrEqual(thirtyDays);
  });

  test("what is kept of a session are keys that begin with its own, and all last for 30 days but the log", async () => {
    const { id, ...record } = session("k3f9q2.abc");
    await registry.claim({ id, ...record });
    const call = { hash: "h", stream: "c1", method: "tools/call", repeatable: false, at: 1 };
    await registry.write(id, record, {
      state: { count: '{"d":1}' },
      events: [{ stream: "s", sequence: 1, json: '{"a":"b c"}', at: Date.now() }],
      begun: [{ request: "1", ...call }],
    });
    const key = "mcp:session:{k3f9q2.abc}";
    expect((await admin.keys("*")).sort()).toEqual([key, `${key}:events`, `${key}:ledger`, `${key}:state`]);
    expect({ ...(await admin.hGetAll(`${key}:state`)) }).toEqual({ count: '{"d":1}' });
    expect(await admin.lRange(`${key}:events`, 0, -1)).toEqual([expect.stringMatching(/^\d+ 1 s {"a":"b c"}$/)]);
    expect(JSON.parse((await admin.hGet(`${key}:ledger`, "1")) ?? "")).toEqual({ request: "1", ...call });
    const days = (seconds: number) => seconds / (24 * 60 * 60);
    for (const act of [
      async () => {},
      () => registry.write(id, record, { carried: 1 }),
      () => registry.renew([id]),
      () => registry.claim({ id, ...record }),
      () => registry.handOver(id, 1, record),
    ]) {
      await act();
      for (const part of ["", ":state", ":ledger"]) {
        expect(days(await admin.ttl(key + part)), part).toBeGreaterThan(29.9);
        await admin.expire(key + part, 60);
      }
      expect(await admin.ttl(`${key}:events`)).toBeGreaterThan(200);
      expect(await admin.ttl(`${key}:events`)).toBeLessThanOrEqual(300);
    }
    await registry.close(id);
    expect(await admin.keys("*")).toEqual([`${key}:closed`]);
  });

  test("a log that came to its end by itself begins anew, with its whole bounds", async () => {
    const { id, ...record } = session("k3f9q2.a");
    await registry.claim({ id, ...record });
    const json = JSON.stringify("x".repeat(600_000));
    const send = (sequence: number) =>
      registry.write(id, record, { events: [{ stream: "s", sequence, json, at: Date.now() }] });
    await send(1);
    await admin.del("mcp:session:{k3f9q2.a}:events");
    await send(2);
    const taken = await registry.handOver(id, 1, record);
    expect(taken).toMatchObject({ session: { events: [{ sequence: 2 }], sequence: 2 } });
  });

  test("a remembered close is one small key for an hour, whether or not the session was there", async () => {
    const { id, ...record } = session(mintSessionId("k3f9q2", Buffer.alloc(randomBytesPerId, 7)));
    await registry.claim({ id, ...record });
    await registry.write(id, record, { state: { a: "1" } });
    for (const remember of [false, true]) {
      await registry.close(id, { remember });
      const closed = `mcp:session:{${id}}:closed`;
      expect(await admin.keys("*")).toEqual([closed]);
      expect(await admin.ttl(closed)).toBeGreaterThan(3_590);
      expect(await admin.ttl(closed)).toBeLessThanOrEqual(3_600);
      expect(await admin.memoryUsage(closed)).toBeLessThan(200);
      await admin.del(closed);
    }
    await registry.close(id);
    expect(await admin.keys("*")).toEqual([]);
  });

  test("a loss is told for an hour", async () => {
    const { id } = await registry.generation("another");
    expect(await registry.generation(id)).toEqual({ id, lostAgoMs: expect.any(Number) });
    await admin.hSet("mcp:generation", "lostAt", String(Date.now() - 59 * 60_000));
    expect((await registry.generation(id)).lostAgoMs).toBeGreaterThan(58 * 60_000);
    await admin.hSet("mcp:generation", "lostAt", String(Date.now() - 61 * 60_000));
    expect(await registry.generation(id)).toEqual({ id });
  });

  test("a node is a hash under its contractual key, for as long as it says", async () => {
    await registry.join(node, 5_000);
    const hash = { ...(await admin.hGetAll("mcp:node:k3f9q2")) };
    expect(hash).toMatchObject({ name: "node-1", incarnation: "first", state: "up" });
    expect(await admin.pTTL("mcp:node:k3f9q2")).toBeGreaterThan(4_000);
    expect(await admin.pTTL("mcp:node:k3f9q2")).toBeLessThanOrEqual(5_000);
    await registry.renewLease(node, 20_000);
    expect(await admin.pTTL("mcp:node:k3f9q2")).toBeGreaterThan(19_000);
  });

  test("a renewal of a lease is two commands, and one when it is lost", async () => {
    await registry.join(node, 5_000);
    expect(await sentDuring(() => registry.renewLease(node, 5_000))).toEqual(["EVALSHA", "ZADD"]);
    const other = { ...node, incarnation: "second" };
    expect(await sentDuring(() => registry.renewLease(other, 5_000))).toEqual(["EVALSHA"]);
  });

  test("with a namespace, every key begins with it", async () => {
    const spaced = redisRegistry(valkey.url, { namespace: "trips" });
    await spaced.start();
    await spaced.claim(session("k3f9q2.abc"));
    await spaced.write("k3f9q2.abc", session("k3f9q2.abc"), { state: { a: "1" } });
    await spaced.close("k3f9q2.gone", { remember: true });
    await spaced.generation(undefined);
    await spaced.join(node, 5_000);
    expect((await admin.keys("*")).sort()).toEqual([
      "trips:mcp:generation",
      "trips:mcp:node:k3f9q2",
      "trips:mcp:nodes",
      "trips:mcp:session:{k3f9q2.abc}",
      "trips:mcp:session:{k3f9q2.abc}:state",
      "trips:mcp:session:{k3f9q2.gone}:closed",
    ]);
    await spaced.stop();
  });

  test("a claim, a find and a close are one command each, from the first on", async () => {
    expect(await sentDuring(() => registry.claim(session("k3f9q2.a")))).toEqual(["EVALSHA"]);
    expect(await sentDuring(() => registry.find("k3f9q2.a"))).toEqual(["HGETALL"]);
    expect(await sentDuring(() => registry.close("k3f9q2.a"))).toEqual(["EVALSHA"]);
  });

  test("a write and a hand-over are one command each, whatever they carry; a renewal is one a session", async () => {
    const { id, ...record } = session("k3f9q2.a");
    await registry.claim({ id, ...record });
    expect(await sentDuring(() => registry.write(id, record, { state: { a: "1" } }))).toEqual(["EVALSHA"]);
    const events = [{ stream: "s", sequence: 1, json: "{}", at: Date.now() }];
    const changes = { state: { a: "2" }, events, carried: 1, ended: ["1"], pinned: "x" };
    expect(await sentDuring(() => registry.write(id, record, changes))).toEqual(["EVALSHA"]);
    expect(await sentDuring(() => registry.handOver(id, 1, record))).toEqual(["EVALSHA"]);
    expect(await sentDuring(() => registry.renew([id, "k3f9q2.b"]))).toEqual(["EVALSHA", "EVALSHA"]);
    expect(await sentDuring(() => registry.owners([id, "k3f9q2.b"]))).toEqual(["HMGET", "HMGET"]);
  });

  test("a new session is a look, a write and its time inside Redis, and nothing else", async () => {
    await admin.sendCommand(["CONFIG", "RESETSTAT"]);
    await registry.claim(session("k3f9q2.a"));
    const stats = [...String(await admin.info("commandstats")).matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g)];
    const counts = Object.fromEntries(stats.map(([, name, calls]) => [name as string, Number(calls)]));
    // This test's own, by its names in newer and older servers.
    for (const name of ["config|resetstat", "config"]) delete counts[name];
    expect(counts).toEqual({ evalsha: 1, exists: 1, hset: 1, pexpire: 1 });
  });

  test("INFO commandstats counts one evalsha per claim and one hgetall per find", async () => {
    await admin.sendCommand(["CONFIG", "RESETSTAT"]);
    for (let index = 0; index < 10; index += 1) await registry.claim(session(`k3f9q2.${index}`));
    for (let index = 0; index < 5; index += 1) await registry.find(`k3f9q2.${index}`);
    const stats = String(await admin.info("commandstats"));
    expect(stats).toMatch(/cmdstat_evalsha:calls=10,/);
    expect(stats).toMatch(/cmdstat_hgetall:calls=5,/);
    expect(stats).not.toMatch(/cmdstat_(eval|get|ping):/);
  });

  test("a renewal gives 30 days again", async () => {
    await registry.claim(session("k3f9q2.a"));
    await admin.expire("mcp:session:{k3f9q2.a}", 60);
    await registry.renew(["k3f9q2.a"]);
    expect(await admin.ttl("mcp:session:{k3f9q2.a}")).toBeGreaterThan(29 * 24 * 60 * 60);
  });

  test("a Redis that forgot the scripts gets them again", async () => {
    await admin.scriptFlush();
    await registry.claim(session("k3f9q2.a"));
    expect(await registry.close("k3f9q2.a")).toBe(true);
    expect(await sentDuring(() => registry.claim(session("k3f9q2.b")))).toEqual(["EVALSHA"]);
  });

  test("tags of nodes that are gone don't stay in the index", async () => {
    await registry.join(node, 5_000);
    await admin.del("mcp:node:k3f9q2");
    expect(await registry.nodes()).toEqual([]);
    expect(await admin.exists("mcp:nodes")).toBe(0);
    await registry.join(node, 5_000);
    await registry.leave(node);
    expect(await admin.keys("*")).toEqual([]);
  });

  test("an idle registry asks nothing of a healthy Redis for a second", async () => {
    const seen = await sentDuring(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
    expect(seen).toEqual([]);
  });

  test("what Redis refuses is told as refused, with its own words", async () => {
    await admin.sendCommand(["CONFIG", "SET", "maxmemory", "1"]);
    try {
      const claim = registry.claim(session("k3f9q2.a"));
      await expect(claim).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("OOM") });
      expect(await registry.find("k3f9q2.a")).toBeUndefined();
    } finally {
      await admin.sendCommand(["CONFIG", "SET", "maxmemory", "0"]);
    }
  });
});
