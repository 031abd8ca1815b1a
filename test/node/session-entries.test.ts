import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Generations } from "../../src/node/generations.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";
import { SessionEntries } from "../../src/node/session-entries.ts";
import {
  type Claimed,
  type Fence,
  type Registry,
  RegistryError,
  type SessionChanges,
  type Written,
} from "../../src/ports/registry.ts";
import { DeferredWrites } from "../../src/registry/deferred-writes.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import type { Session } from "../../src/session/session.ts";
import { FailingRegistry } from "../registry/failing-registry.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const own = { tag: "k3f9q2", incarnation: "own" };
const other = { tag: "p7m2xa", incarnation: "other" };

/** A registry that notes the numbers of what it is sent, and says that a write came late when it is told to. */
class NumberedRegistry extends FailingRegistry {
  readonly numbers: (number | undefined)[] = [];
  late = 0;

  override claim(...args: Parameters<Registry["claim"]>): Promise<Claimed> {
    this.numbers.push(args[1]);
    return super.claim(...args);
  }

  override async write(...args: Parameters<Registry["write"]>): Promise<Written> {
    this.numbers.push(args[3]);
    if (this.late === 0) return await super.write(...args);
    this.late -= 1;
    return { kind: "late" };
  }
}

let store: MemoryStore;
let registry: NumberedRegistry;
let generations: Generations;
let writes: DeferredWrites;
let entries: SessionEntries;
let sessions: Map<string, Session>;
let ended: string[];
let unkept: string[];

/** A session of this node: what is kept of it is its state `count`. */
function begin(id: string, { epoch = 1, count = () => "1" }: { epoch?: number; count?: () => string } = {}): Fence {
  const snapshot = (): SessionChanges => ({ state: { count: count() } });
  const parts = { id, epoch, createdAt: 0, client: "raw/1", transport: {}, snapshot, unkept: () => unkept.push(id) };
  sessions.set(id, parts as unknown as Session);
  return { owner: own, epoch };
}

async function noted(id: string, options: Parameters<typeof begin>[1] = {}): Promise<Fence> {
  const fence = begin(id, options);
  await entries.note(sessions.get(id) as Session);
  return fence;
}

const write = (id: string, fence: Fence, count: string) => entries.storeOf(id, fence)?.write({ state: { count } });

/** What another node would take over. */
function kept(id: string) {
  const epoch = store.owner(id, Date.now())?.epoch ?? 0;
  const taken = store.handOver(id, epoch, { owner: other, peer: undefined }, Date.now());
  return taken.kind === "handed-over" ? taken.session.state : taken.kind;
}

beforeEach(async () => {
  store = new MemoryStore();
  registry = new NumberedRegistry({ store });
  await registry.start();
  const log = new RecordedLog();
  // Without a lease nothing is quiet: what is decided here goes by the generation alone.
  generations = new Generations({ registry, lease: 0, log });
  await generations.check();
  writes = new DeferredWrites({ registry, log, onLost: () => {}, retryEveryMs: 60_000 });
  sessions = new Map();
  ended = [];
  unkept = [];
  const end = (id: string, why: string) => {
    if (sessions.delete(id)) ended.push(`${id} ${why}`);
  };
  entries = new SessionEntries({
    ...{ keeps: true, registry, writes, generations, metrics: new NodeMetrics() },
    ownership: { mayOwn: () => true, watch: <T>(call: Promise<T>) => call } as never,
    owner: () => ({ owner: own, peer: undefined }),
    sessions: () => [...sessions.values()],
    session: (id) => sessions.get(id),
    closed: (id) => end(id, "closed"),
    lost: (id, by) => end(id, `lost to ${by.owner.tag}`),
    checkAgainMs: 20,
  });
});
afterEach(() => {
  entries.stop();
  return writes.stop();
});

describe("a session that the registry does not have", () => {
  test("was closed elsewhere, where it had been noted in the same generation", async () => {
    const fence = await noted("a");
    store.close("a", false, Date.now());
    expect(await write("a", fence, "2")).toBe("lost");
    expect(ended).toEqual(["a closed"]);
  });

  test("is written anew when the registry lost it, also if this node knew of the loss before it wrote", async () => {
    const fence = await noted("a", { count: () => "2" });
    store.lose();
    await generations.check();
    expect(await write("a", fence, "2")).toBe("written");
    expect(ended).toEqual([]);
    expect(kept("a")).toEqual({ count: "2" });
  });

  test("is written anew when it was taken over in a generation that is gone", async () => {
    const before = generations.known;
    store.lose();
    await generations.check();
    const fence = begin("a", { epoch: 2 });
    entries.adopted(sessions.get("a") as Session, before);
    expect(await write("a", fence, "2")).toBe("written");
    expect(ended).toEqual([]);
  });

  test("was closed, if it is so again in the generation in which it was written anew", async () => {
    const fence = await noted("a");
    store.lose();
    expect(await write("a", fence, "2")).toBe("written");
    store.close("a", false, Date.now());
    expect(await write("a", fence, "3")).toBe("lost");
    expect(ended).toEqual(["a closed"]);
  });

  test("stays closed when it was closed after the loss, before its owner wrote it again", async () => {
    const fence = await noted("a");
    store.lose();
    store.close("a", true, Date.now());
    expect(await write("a", fence, "2")).toBe("lost");
    expect(ended).toEqual(["a closed"]);
    expect(kept("a")).toBe("missing");
  });

  test("is left alone while its claim waits for the registry, or while it is still being restored", async () => {
    const fence = begin("a");
    registry.failure = "unavailable";
    await entries.note(sessions.get("a") as Session);
    registry.failure = undefined;
    expect(await write("a", fence, "2")).toBe("unavailable");
    expect(await write("restored", fence, "2")).toBe("unavailable");
    expect(ended).toEqual([]);
  });

  test("is found by a renewal of its TTL: what is closed ends, what is lost is written anew", async () => {
    await noted("closed");
    await noted("lost");
    store.lose();
    await noted("closed");
    store.close("closed", false, Date.now());
    await entries.check(["closed", "lost", "never"]);
    expect(ended).toEqual(["closed closed"]);
    expect(kept("lost")).toEqual({ count: "1" });
  });
});

describe("a look at all sessions", () => {
  test("ends what was closed or taken over, and writes anew what the registry lost or fell back from", async () => {
    for (const id of ["here", "closed", "taken", "back"]) await noted(id);
    store.close("closed", false, Date.now());
    store.handOver("taken", 1, { owner: other, peer: undefined }, Date.now());
    sessions.delete("back");
    begin("back", { epoch: 3 });
    begin("never");
    registry.calls.length = 0;
    await entries.checkAll();
    expect(ended.toSorted()).toEqual(["closed closed", "taken lost to p7m2xa"]);
    expect(registry.calls.toSorted()).toEqual(["claim back", "claim never", "write back", "write never"]);
    expect(store.owner("back", Date.now())).toEqual({ owner: own, epoch: 3 });
  });

  test("is done again when it is asked for meanwhile, and only once", async () => {
    await noted("a");
    let looks = 0;
    registry.owners = async (ids) => {
      looks += 1;
      return ids.map((id) => store.owner(id, Date.now()));
    };
    await Promise.all([entries.checkAll(), entries.checkAll(), entries.checkAll()]);
    expect(looks).toBe(2);
  });

  /** Lets the registry refuse so many questions about owners. */
  function refuseOwners(times: number): { readonly asked: number } {
    const looks = { asked: 0 };
    registry.owners = async (ids) => {
      looks.asked += 1;
      if (looks.asked <= times) throw new RegistryError("refused", "Redis (in a test) refuses.");
      return ids.map((id) => store.owner(id, Date.now()));
    };
    return looks;
  }

  test("is done again until the registry answers, whether it was about all or about some", async () => {
    for (const id of ["here", "closed", "taken"]) await noted(id);
    store.close("closed", false, Date.now());
    store.handOver("taken", 1, { owner: other, peer: undefined }, Date.now());
    let looks = refuseOwners(2);
    await entries.checkAll();
    expect(ended).toEqual([]);
    await eventually(() => expect(ended.toSorted()).toEqual(["closed closed", "taken lost to p7m2xa"]));
    await sleep(60);
    expect(looks.asked).toBe(3);

    store.close("here", false, Date.now());
    looks = refuseOwners(1);
    await entries.check(["here"]);
    await eventually(() => expect(ended.at(-1)).toBe("here closed"));
    expect(looks.asked).toBe(2);
  });

  test("is not done again once the node stops", async () => {
    await noted("a");
    const looks = refuseOwners(9);
    await entries.checkAll();
    entries.stop();
    await entries.checkAll();
    await sleep(60);
    expect(looks.asked).toBe(2);
  });

  test("takes what an earlier copy was told for no word about the one that came after it", async () => {
    const former = await noted("a");
    store.handOver("a", 1, { owner: other, peer: undefined }, Date.now());
    store.handOver("a", 2, { owner: own, peer: undefined }, Date.now());
    sessions.delete("a");
    begin("a", { epoch: 3 });
    expect(await write("a", former, "2")).toBe("lost");
    await entries.fenced("a", { owner: own, epoch: 3 });
    expect(ended).toEqual([]);
    await entries.fenced("a", { owner: own, epoch: 4 });
    expect(ended).toEqual(["a lost to k3f9q2"]);
  });
});

describe("claims and writes", () => {
  test("have numbers that only grow, whichever session they are of", async () => {
    const [a, b] = [await noted("a"), await noted("b")];
    for (const count of ["2", "3"])
      for (const [id, fence] of [["a", a] as const, ["b", b] as const]) await write(id, fence, count);
    store.lose();
    await entries.writeAll();
    expect(registry.numbers).toEqual(Array.from({ length: 10 }, (_, index) => index + 1));
  });

  test("that were overtaken are written again, and unavailable if that goes on", async () => {
    const fence = await noted("a");
    registry.late = 1;
    expect(await write("a", fence, "2")).toBe("written");
    expect(registry.numbers).toEqual([1, 2, 3]);
    registry.late = 9;
    expect(await write("a", fence, "3")).toBe("unavailable");
    expect(kept("a")).toEqual({ count: "2" });
  });

  test("of all that is kept are made anew when they were overtaken: what was written meanwhile stays", async () => {
    let count = 1;
    await noted("a", { count: () => String(count++) });
    registry.late = 1;
    await entries.writeAll();
    expect(unkept).toEqual([]);
    expect(kept("a")).toEqual({ count: "2" });
  });

  test("of all that is kept are tried again later when they fail, or find the session gone again", async () => {
    await noted("a");
    registry.failure = "unavailable";
    await entries.writeAll();
    expect(unkept).toEqual(["a"]);
    expect(writes.isPending("a")).toBe(true);
    registry.failure = undefined;
    await writes.flush();
    registry.late = 9;
    await entries.writeAll();
    expect(unkept).toEqual(["a", "a"]);
    expect(ended).toEqual([]);
  });
});
