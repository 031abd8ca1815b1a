import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Claimed, RegistryError, type SessionRecord } from "../../src/ports/registry.ts";
import { DeferredWrites, type DeferredWritesOptions } from "../../src/registry/deferred-writes.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { FailingRegistry } from "./failing-registry.ts";

const owner = { tag: "k3f9q2", incarnation: "first" };
const session = (id: string) => ({ id, owner, epoch: 1, createdAt: 1_760_000_000_000 });

describe("writes of sessions", () => {
  let registry: FailingRegistry;
  let log: RecordedLog;
  let writes: DeferredWrites;
  let lost: string[];

  function start(options: Partial<DeferredWritesOptions> = {}): void {
    lost = [];
    const onLost = (id: string, { kind }: Claimed) => lost.push(`${id} ${kind}`);
    writes = new DeferredWrites({ registry, log, onLost, retryEveryMs: 60_000, ...options });
  }

  const claim = (record: SessionRecord) => writes.claim(record.id, () => registry.claim(record));

  beforeEach(async () => {
    registry = new FailingRegistry();
    await registry.start();
    log = new RecordedLog();
    start();
  });
  afterEach(async () => {
    await writes.stop();
  });

  test("go to the registry at once while it answers", async () => {
    expect(await claim(session("a"))).toBe("written");
    expect(await registry.find("a")).toEqual(session("a"));
    expect(await writes.close("a")).toBe("closed");
    expect(await writes.close("a")).toBe("not-there");
    expect(writes.counts()).toEqual({ pending: 0, deferred: 0, dropped: 0 });
  });

  test.each(["unavailable", "refused"] as const)(
    "never fail: one that is %s is kept, logged, counted",
    async (code) => {
      registry.failure = code;
      expect(await claim(session("a"))).toBe("deferred");
      expect(await writes.close("b")).toBe("deferred");
      expect(writes.counts()).toEqual({ pending: 2, deferred: 2, dropped: 0 });
      expect(log.of("registry-write-deferred")).toEqual([
        { session: "a", write: "claim", code, why: "Redis (in a test) is away." },
        { session: "b", write: "close", code, why: "Redis (in a test) is away." },
      ]);
      registry.failure = undefined;
      await writes.flush();
    },
  );

  test("are done when the registry is reachable again, in their order, many at a time", async () => {
    registry.failure = "unavailable";
    for (let index = 0; index < 250; index += 1) await claim(session(`s${index}`));
    registry.failure = undefined;
    registry.calls.length = 0;
    registry.tellReachable(true);
    await eventually(() => expect(writes.counts().pending).toBe(0));
    expect(registry.calls).toEqual(Array.from({ length: 250 }, (_, index) => `claim s${index}`));
    expect(writes.counts()).toEqual({ pending: 0, deferred: 250, dropped: 0 });
  });

  test("are tried again after a while also without word of reachability", async () => {
    await writes.stop();
    start({ retryEveryMs: 20 });
    registry.failure = "refused";
    await claim(session("a"));
    await eventually(() => expect(registry.calls.length).toBeGreaterThan(3));
    registry.failure = undefined;
    await eventually(async () => expect(await registry.find("a")).toEqual(session("a")));
    expect(log.of("registry-write-deferred")).toHaveLength(1);
  });

  test("stop at the first failing batch while the registry stays away", async () => {
    registry.failure = "unavailable";
    for (let index = 0; index < 1_000; index += 1) await claim(session(`s${index}`));
    registry.calls.length = 0;
    await writes.flush();
    expect(registry.calls.length).toBeLessThanOrEqual(100);
    expect(writes.counts().pending).toBe(1_000);
  });

  test("wait for none that fail alone, as on a lost shard of a cluster", async () => {
    let away = ["shard", "all"];
    const attempt = (needs: string) => async (): Promise<Claimed> => {
      if (away.includes(needs)) throw new RegistryError("unavailable", "Redis (in a test) is away.");
      return { kind: "claimed" };
    };
    for (let index = 0; index < 150; index += 1) await writes.claim(`lost${index}`, attempt("shard"));
    await writes.claim("a", attempt("all"));
    away = ["shard"];
    for (let tries = 0; tries < 2; tries += 1) await writes.flush();
    expect(writes.isPending("a")).toBe(false);
    away = [];
    await writes.flush();
    expect(writes.counts()).toMatchObject({ pending: 0, deferred: 151 });
  });

  test("a close takes the place of a kept claim, and is still told", async () => {
    registry.failure = "unavailable";
    await claim(session("a"));
    await writes.close("a");
    registry.failure = undefined;
    const heard: string[] = [];
    registry.onClosed((id) => heard.push(id));
    await writes.flush();
    await eventually(() => expect(heard).toEqual(["a"]));
    expect(registry.calls.filter((call) => call === "claim a")).toHaveLength(1);
    expect(await registry.find("a")).toBeUndefined();
  });

  test("a close that overtakes a claim under way is not undone by that claim's failure", async () => {
    const held = registry.hold();
    registry.failure = "unavailable";
    const claiming = claim(session("a"));
    registry.failure = undefined;
    const closing = writes.close("a");
    held.release();
    expect(await claiming).toBe("deferred");
    expect(await closing).toBe("not-there");
    await writes.flush();
    expect(registry.calls).toEqual(["claim a", "close a, remembered"]);
    expect(writes.counts().pending).toBe(0);
  });

  test("a claim that finds another owner, or a remembered close, is told as lost, at once or late", async () => {
    const other = { ...session("theirs"), owner: { tag: "p7m2xa", incarnation: "second" }, epoch: 2 };
    await registry.claim(other);
    await registry.close("gone", { remember: true });
    expect(await claim(session("theirs"))).toBe("lost");
    expect(await claim(session("gone"))).toBe("lost");
    expect(lost).toEqual(["theirs fenced", "gone closed"]);
    lost.length = 0;
    registry.failure = "unavailable";
    for (const id of ["theirs", "mine", "gone"]) expect(await claim(session(id))).toBe("deferred");
    expect(lost).toEqual([]);
    registry.failure = undefined;
    await writes.flush();
    expect(lost).toEqual(["theirs fenced", "gone closed"]);
    expect(await registry.find("theirs")).toEqual(other);
    expect(await registry.find("mine")).toEqual(session("mine"));
    expect(writes.counts()).toEqual({ pending: 0, deferred: 3, dropped: 0 });
  });

  test("a claim that a close overtook is told to nobody", async () => {
    await registry.close("a", { remember: true });
    const held = registry.hold();
    const claiming = claim(session("a"));
    const closing = writes.close("a");
    held.release();
    await Promise.all([claiming, closing]);
    expect(lost).toEqual([]);
  });

  test("a claim that is late writes what has become of the session by then", async () => {
    let pinned: string | undefined;
    registry.failure = "unavailable";
    expect(await writes.claim("a", () => registry.claim({ ...session("a"), pinned }))).toBe("deferred");
    pinned = "it holds a socket";
    registry.failure = undefined;
    await writes.flush();
    expect(await registry.find("a")).toEqual({ ...session("a"), pinned });
  });

  test("a close is remembered, also one that had to wait: no claim brings the session back", async () => {
    await writes.close("at once");
    registry.failure = "unavailable";
    await writes.close("late");
    registry.failure = undefined;
    await writes.flush();
    expect(registry.calls).toEqual(["close at once", "close late", "close late"].map((call) => `${call}, remembered`));
    expect(await registry.claim(session("late"))).toEqual({ kind: "closed" });
    expect(await registry.claim(session("at once"))).toEqual({ kind: "closed" });
  });

  test("a session whose write waits is known, and what waits is given up when another node owns it", async () => {
    registry.failure = "unavailable";
    for (const id of ["kept", "lost"]) await claim(session(id));
    expect([writes.isPending("kept"), writes.isPending("lost"), writes.isPending("never")]).toEqual([
      true,
      true,
      false,
    ]);
    writes.forget("lost");
    expect(writes.isPending("lost")).toBe(false);
    registry.failure = undefined;
    await writes.flush();
    expect(writes.isPending("kept")).toBe(false);
    expect(await registry.owners(["kept", "lost"])).toEqual([{ owner, epoch: 1 }, undefined]);
    expect(writes.counts()).toEqual({ pending: 0, deferred: 2, dropped: 0 });
  });

  test("beyond the limit the oldest is dropped, and logged", async () => {
    await writes.stop();
    start({ limit: 3 });
    registry.failure = "unavailable";
    for (const id of ["a", "b", "c", "d", "e"]) await claim(session(id));
    expect(writes.counts()).toEqual({ pending: 3, deferred: 5, dropped: 2 });
    expect(log.of("registry-write-dropped").map((fields) => fields.session)).toEqual(["a", "b"]);
    registry.failure = undefined;
    await writes.flush();
    expect(await registry.find("b")).toBeUndefined();
    expect(await registry.find("c")).toEqual(session("c"));
  });

  test("at the end are tried once more; what can't be written is dropped, and logged", async () => {
    registry.failure = "unavailable";
    await claim(session("lost"));
    await writes.stop();
    expect(log.of("registry-write-dropped")).toMatchObject([{ session: "lost", why: "the node stops" }]);

    start();
    await claim(session("kept"));
    registry.failure = undefined;
    await writes.stop();
    expect(await registry.find("kept")).toEqual(session("kept"));
  });
});
