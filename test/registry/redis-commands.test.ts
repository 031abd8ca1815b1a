import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
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
    await spaced.join(node, 5_000);
    const keys = (await admin.keys("*")).sort();
    expect(keys).toEqual(["trips:mcp:node:k3f9q2", "trips:mcp:nodes", "trips:mcp:session:{k3f9q2.abc}"]);
    await spaced.stop();
  });

  test("a claim, a find and a close are one command each, from the first on", async () => {
    expect(await sentDuring(() => registry.claim(session("k3f9q2.a")))).toEqual(["EVALSHA"]);
    expect(await sentDuring(() => registry.find("k3f9q2.a"))).toEqual(["HGETALL"]);
    expect(await sentDuring(() => registry.close("k3f9q2.a"))).toEqual(["EVALSHA"]);
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
