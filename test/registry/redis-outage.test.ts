import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RegistryError, type SessionRecord } from "../../src/ports/registry.ts";
import { DeferredWrites } from "../../src/registry/deferred-writes.ts";
import type { RedisRegistry } from "../../src/registry/redis/redis-registry.ts";
import { startCuttableProxy } from "../support/cuttable-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { RegistryChild } from "./child.ts";
import { redisRegistry } from "./redis-backend.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };
const session = (id: string) => ({ id, owner, epoch: 1, createdAt: 1_760_000_000_000 });

/** How long a call took, and the error that it ended with. */
async function failing(call: Promise<unknown>): Promise<{ ms: number; error: RegistryError }> {
  const before = performance.now();
  const error = await call.then(
    () => new Error("it did not fail"),
    (reason) => reason as Error,
  );
  expect(error).toBeInstanceOf(RegistryError);
  return { ms: performance.now() - before, error: error as RegistryError };
}

describe("while Redis is away", () => {
  let valkey: Valkey;
  let registry: RedisRegistry;
  let other: RedisRegistry;
  let log: RecordedLog;
  let reachable: boolean[];

  beforeEach(async () => {
    valkey = await startValkey();
    log = new RecordedLog();
    registry = redisRegistry(valkey.url, { log });
    other = redisRegistry(valkey.url);
    reachable = [];
    registry.onReachable((now) => reachable.push(now));
    await Promise.all([registry.start(), other.start()]);
  });
  afterEach(async () => {
    await Promise.all([registry.stop(), other.stop()]);
    await valkey.stop();
  });

  test("killed: calls fail at once, and work again when it is back", async () => {
    await valkey.kill();
    await eventually(() => expect(reachable).toEqual([false]));
    const { ms, error } = await failing(registry.find("k3f9q2.a"));
    expect(ms).toBeLessThan(200);
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain(`redis://127.0.0.1:${valkey.port}`);

    valkey = await startValkey({ port: valkey.port });
    await eventually(() => expect(reachable).toEqual([false, true]));
    await registry.claim(session("k3f9q2.a"));
    expect(log.of("registry-down")).toHaveLength(1);
    expect(log.of("registry-up")).toMatchObject([{ downMs: expect.any(Number) }]);
  });

  test("killed and back: closes are heard again", async () => {
    const heard: string[] = [];
    registry.onClosed((id) => heard.push(id));
    await valkey.kill();
    await eventually(() => expect(reachable).toEqual([false]));
    valkey = await startValkey({ port: valkey.port });
    let sent = 0;
    await eventually(async () => {
      sent += 1;
      await other.close(`k3f9q2.${sent}`);
      expect(heard).not.toEqual([]);
    });
    expect(log.of("registry-subscription-down")).toHaveLength(1);
    expect(log.of("registry-subscription-up")).toHaveLength(1);
  });

  test("only its subscription lost: that closes may have gone unheard is told once they are heard again", async () => {
    let again = 0;
    let findable: unknown;
    registry.onHeardAgain(() => {
      again += 1;
      findable = registry.find("k3f9q2.a");
    });
    const heard: string[] = [];
    registry.onClosed((id) => heard.push(id));
    await registry.claim(session("k3f9q2.a"));
    const admin = await createClient({ url: valkey.url }).connect();
    await Promise.all([admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]), other.close("k3f9q2.a")]);
    await eventually(() => expect(again).toBe(1));
    expect(heard).toEqual([]);
    expect(await findable).toBeUndefined();
    expect(reachable).toEqual([]);
    await other.close("k3f9q2.b");
    await eventually(() => expect(heard).toEqual(["k3f9q2.b"]));
    expect(again).toBe(1);
    admin.destroy();
  });

  test("frozen for 3 seconds: the first call fails at its deadline, later ones at once, none after", async () => {
    valkey.freeze();
    const frozenAt = performance.now();
    const first = await failing(registry.claim(session("k3f9q2.a")));
    expect(first.ms).toBeGreaterThan(950);
    expect(first.ms).toBeLessThan(1_500);
    expect(first.error).toMatchObject({ code: "unavailable", message: expect.stringContaining("within 1000 ms") });
    expect(reachable).toEqual([false]);
    while (performance.now() - frozenAt < 3_000) {
      expect((await failing(registry.find("k3f9q2.a"))).ms).toBeLessThan(200);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    valkey.thaw();
    const thawedAt = performance.now();
    await eventually(() => expect(reachable).toEqual([false, true]));
    expect(performance.now() - thawedAt).toBeLessThan(2_500);
    await registry.claim(session("k3f9q2.b"));
    expect(await registry.find("k3f9q2.b")).toEqual(session("k3f9q2.b"));
  });

  test("frozen for longer: its silent connections are given up, and new ones serve after it", async () => {
    const short = { call: 200, connect: 600, silence: 600 };
    const hasty = redisRegistry(valkey.url, { deadlines: short });
    await hasty.start();
    const changes: boolean[] = [];
    const heard: string[] = [];
    hasty.onReachable((now) => changes.push(now));
    hasty.onClosed((id) => heard.push(id));
    valkey.freeze();
    await failing(hasty.find("k3f9q2.a"));
    // Longer than a connection may be silent, several times over.
    const until = performance.now() + 2_500;
    await eventually(() => expect(performance.now()).toBeGreaterThan(until));
    expect(changes).toEqual([false]);
    valkey.thaw();
    await eventually(() => expect(changes).toEqual([false, true]));
    await hasty.claim(session("k3f9q2.c"));
    await hasty.close("k3f9q2.c");
    await eventually(() => expect(heard).toContain("k3f9q2.c"));
    await hasty.stop();
  });

  test("connections that died without a word are replaced: calls work and closes are heard again", async () => {
    const proxy = await startCuttableProxy(valkey.port);
    const deadlines = { call: 200, silence: 400 };
    const cutOff = redisRegistry(`redis://127.0.0.1:${proxy.port}`, { deadlines });
    await cutOff.start();
    const heard: string[] = [];
    cutOff.onClosed((id) => heard.push(id));
    proxy.cut();
    await failing(cutOff.find("k3f9q2.a"));
    await eventually(async () => expect(await cutOff.find("k3f9q2.a")).toBeUndefined());
    let sent = 0;
    await eventually(async () => {
      sent += 1;
      await other.close(`k3f9q2.${sent}`);
      expect(heard).not.toEqual([]);
    });
    await cutOff.stop();
    await proxy.stop();
  });

  test("an answer that came in time to a busy process counts, although it is read late", async () => {
    const deadlines = { call: 200 };
    const hasty = redisRegistry(valkey.url, { deadlines });
    await hasty.start();
    valkey.freeze();
    const finding = hasty.find("k3f9q2.a");
    await new Promise((resolve) => setTimeout(resolve, 20));
    // From here the event loop comes to its timers before it comes to its sockets.
    await new Promise((resolve) => setImmediate(resolve));
    valkey.thaw();
    const busyUntil = performance.now() + 400;
    while (performance.now() < busyUntil);
    expect(await finding).toBeUndefined();
    await hasty.stop();
  });

  test("what a node writes meanwhile is written when Redis is back: claims and closes", async () => {
    const writes = new DeferredWrites({ registry, log, onLost: () => {} });
    const claim = (record: SessionRecord) => writes.claim(record.id, () => registry.claim(record));
    await claim(session("k3f9q2.before"));
    const heard: string[] = [];
    await valkey.kill();
    await eventually(() => expect(reachable).toEqual([false]));
    expect(await claim(session("k3f9q2.during"))).toBe("deferred");
    expect(await claim(session("k3f9q2.both"))).toBe("deferred");
    expect(await writes.close("k3f9q2.both")).toBe("deferred");
    expect(await writes.close("k3f9q2.before")).toBe("deferred");
    expect(writes.counts()).toEqual({ pending: 3, deferred: 4, dropped: 0 });

    valkey = await startValkey({ port: valkey.port });
    await eventually(() => expect(writes.counts().pending).toBe(0));
    other.onClosed((id) => heard.push(id));
    await eventually(async () => {
      expect(await registry.find("k3f9q2.during")).toEqual(session("k3f9q2.during"));
    });
    expect(await registry.find("k3f9q2.both")).toBeUndefined();
    expect(await registry.find("k3f9q2.before")).toBeUndefined();
    expect(log.of("registry-write-deferred")).toHaveLength(4);
    expect(log.of("registry-write-dropped")).toHaveLength(0);
    await writes.stop();
  });
});

describe("a process that stops its registry ends by itself", () => {
  test.each(["alive", "killed", "frozen"] as const)("with Redis %s", async (state) => {
    const valkey = await startValkey();
    const child = new RegistryChild(valkey.url, { wait: true });
    await child.prints("claimed");
    if (state === "killed") await valkey.kill();
    if (state === "frozen") valkey.freeze();
    child.goOn();
    const { status, stderr, stopMs } = await child.ends();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stopMs).toBeLessThan(1_000);
    await valkey.stop();
  });
});
