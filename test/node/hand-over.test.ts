import { setTimeout as sleep } from "node:timers/promises";
import type { ServerDefinition } from "mooring";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient, type RawMessage } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, type ServingOptions, serve } from "../support/serving.ts";

/** A node of the yardstick, and what it logged. */
interface Node extends Serving {
  readonly log: RecordedLog;
}

const store = () => new MemoryStore();
let shared: MemoryStore;
const nodes = new Set<Node>();

async function start(name: string, options: ServingOptions = {}, server = yardstick): Promise<Node> {
  const log = new RecordedLog();
  const registry = new MemoryRegistry({ store: shared });
  const times = { lease: 2_000, renew: 200, hold: 5_000, edgeDelay: 100 };
  const serving = await serve(server, { name, registry, log, ...times, ...options });
  const node: Node = {
    ...serving,
    log,
    stop: async (how) => {
      nodes.delete(node);
      await serving.stop(how);
    },
  };
  nodes.add(node);
  return node;
}

beforeEach(() => {
  shared = store();
});
afterEach(async () => {
  await Promise.all([...nodes].map((node) => node.stop({ handOver: false })));
});

const counted = (message: RawMessage | undefined) =>
  message?.result?.structuredContent as { value: number; node: string };
const numberOf = ({ params }: RawMessage) => (params?.data as { n: number } | undefined)?.n;
const ownerOf = (client: RawClient) => shared.find(client.session, Date.now())?.owner.tag;

describe("a node that drains hands its sessions over", () => {
  test("and their next requests find them from any node, with their state", async () => {
    const [a, b, c] = await Promise.all([start("a"), start("b"), start("c")]);
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.begin(a.url)));
    await Promise.all(clients.map((client) => client.call("count")));
    await a.node.drain();
    expect(a.node.sessions()).toEqual([]);
    expect([b, c].map(({ node }) => node.sessions().length)).toEqual([5, 5]);
    for (const client of clients) {
      expect(counted(await client.call("count")).value).toBe(2);
      expect(counted(await client.at(b.url).call("count")).value).toBe(3);
      expect(counted(await client.at(c.url).call("count")).value).toBe(4);
    }
    expect(a.log.of("session-handed-over")).toHaveLength(10);
    expect(a.log.of("refused")).toEqual([]);
  });

  test("its streams end gracefully, and go on elsewhere without a gap", async () => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    const stream = await client.listen();
    await client.call("announce", { count: 40, everyMs: 20 });
    await stream.received(5);
    await a.node.drain();
    await stream.ended();
    expect(stream.end).toBe("whole");
    expect(stream.text).toMatch(/retry: [3-6]\d{3}\n\n$/);
    const rest = await client.at(b.url).listen(stream.lastEventId);
    const seen = await eventually(() => {
      const numbers = [...stream.messages, ...rest.messages].map(numberOf);
      expect(numbers.at(-1)).toBe(40);
      return numbers;
    });
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  });

  test("a call in flight ends here first, and what comes meanwhile is served", async () => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    const slow = await client.startCall("sleep", { ms: 600, steps: 3 });
    const drained = a.node.drain();
    expect(counted(await client.call("count")).value).toBe(1);
    expect((await slow.ended()).messages.at(-1)?.result).toMatchObject({ structuredContent: { node: "a" } });
    await drained;
    expect(ownerOf(client)).toBe(b.node.tag);
    expect(counted(await client.call("count"))).toEqual({ value: 2, node: "b" });
  });

  test("at the deadline also those whose calls are in flight: these are told that they may have run", async () => {
    const [a, b] = await Promise.all([start("a", { drainDeadline: 300 }), start("b")]);
    const client = await RawClient.begin(a.url);
    const asked = await client.startCall("sleep", { ms: 1_000, steps: 0 });
    await eventually(() => expect(asked.events).not.toEqual([]));
    await a.node.drain();
    await asked.ended();
    expect(asked.end).toBe("whole");
    expect(ownerOf(client)).toBe(b.node.tag);
    const again = await client.at(b.url).listen(asked.lastEventId);
    // sleep is read-only, so it runs again.
    expect(again.status).toBe(200);
    again.cut();
  });

  test("no call fails or waits long while all of them are busy", async () => {
    const [a, b, c] = await Promise.all([start("a"), start("b"), start("c")]);
    const clients = await Promise.all(Array.from({ length: 30 }, () => RawClient.begin(a.url)));
    let isOver = false;
    let slowest = 0;
    const working = clients.map(async (client, index) => {
      let calls = 0;
      while (!isOver) {
        const began = performance.now();
        const at = [a, b, c][(index + calls) % 3] as Node;
        expect(counted(await client.at(at.url).call("count")).value).toBe(++calls);
        slowest = Math.max(slowest, performance.now() - began);
      }
      return calls;
    });
    await a.node.drain();
    isOver = true;
    const calls = (await Promise.all(working)).reduce((sum, count) => sum + count, 0);
    expect(a.node.sessions()).toEqual([]);
    expect(calls).toBeGreaterThan(30);
    expect(slowest).toBeLessThan(2_000);
  });

  test("no faster than the others take them, who restore a few at a time", async () => {
    let restoring = 0;
    let most = 0;
    const slow: ServerDefinition = {
      ...yardstick,
      create: async (context) => {
        restoring += 1;
        most = Math.max(most, restoring);
        await sleep(20);
        restoring -= 1;
        return await yardstick.create(context);
      },
    };
    const [a, b] = await Promise.all([start("a", { drainPace: 10_000 }), start("b", {}, slow)]);
    const clients = await Promise.all(Array.from({ length: 60 }, () => RawClient.begin(a.url)));
    await a.node.drain();
    expect(b.node.sessions()).toHaveLength(60);
    expect(most).toBe(8);
    expect(a.log.of("session-not-taken")).toEqual([]);
    expect(counted(await clients.at(-1)?.call("count"))).toEqual({ value: 1, node: "b" });
  });

  test("they come home when it takes sessions again", async () => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    await a.node.drain();
    expect(ownerOf(client)).toBe(b.node.tag);
    await a.node.undrain();
    await eventually(() => expect(ownerOf(client)).toBe(a.node.tag), 10_000);
    expect(counted(await client.call("count"))).toEqual({ value: 2, node: "a" });
  });

  test("and not to a home that is dead, although its lease still runs", async () => {
    const [a, b] = await Promise.all([start("a", { lease: 8_000 }), start("b")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    await a.node.drain();
    expect(ownerOf(client)).toBe(b.node.tag);
    const { epoch } = shared.find(client.session, Date.now()) as { epoch: number };
    const ghost = { ...(await b.node.nodes()).find(({ name }) => name === "a") } as NodeRecord;
    await a.stop({ handOver: false });
    // As a process that was killed: nobody said that it left.
    shared.join({ ...ghost, state: "up" }, 8_000, Date.now());
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    expect(shared.find(client.session, Date.now())).toMatchObject({ epoch, owner: { tag: b.node.tag } });
  });

  test("also when the drain is undone and wanted again in one moment", async () => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    const slow = await client.startCall("sleep", { ms: 400, steps: 2 });
    const drained = a.node.drain();
    await Promise.all([a.node.undrain(), a.node.drain()]);
    await drained;
    expect(ownerOf(client)).toBe(b.node.tag);
    expect((await slow.ended()).messages.at(-1)?.result).toMatchObject({ structuredContent: { node: "a" } });
  });

  test("and stays their node where nobody else is up", async () => {
    const a = await start("a");
    const client = await RawClient.begin(a.url);
    await a.node.drain();
    expect(counted(await client.call("count")).value).toBe(1);
  });
});

describe("a drain whose deadline is over goes on, without hurry", () => {
  test("where another node comes up at last: a call in flight ends here first", async () => {
    const a = await start("a", { drainDeadline: 200 });
    const client = await RawClient.begin(a.url);
    await a.node.drain();
    await sleep(300);
    const slow = await client.startCall("sleep", { ms: 1_500, steps: 2 });
    const b = await start("b");
    expect((await slow.ended()).messages.at(-1)?.result).toMatchObject({ structuredContent: { node: "a" } });
    await eventually(() => expect(ownerOf(client)).toBe(b.node.tag));
    expect(counted(await client.call("count"))).toEqual({ value: 1, node: "b" });
  });
});

describe("a node that stops", () => {
  test("hands its sessions over, and passes requests on until the edge knows", async () => {
    const [a, b] = await Promise.all([start("a", { edgeDelay: 500 }), start("b")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    const stopped = a.stop();
    await eventually(() => expect(ownerOf(client)).toBe(b.node.tag));
    let value = 1;
    while ((await b.node.nodes()).length > 1) expect(counted(await client.call("count")).value).toBe(++value);
    expect(counted(await client.call("count"))).toEqual({ value: value + 1, node: "b" });
    await stopped;
  });
});

describe("a node that stops hands its sessions over also", () => {
  test("where it was drained long ago, and has got some since", async () => {
    const a = await start("a");
    await a.node.drain();
    await eventually(() => expect(a.log.of("drain-over")).toHaveLength(1));
    const client = await RawClient.begin(a.url);
    const slow = await client.startCall("sleep", { ms: 700, steps: 2 });
    const b = await start("b");
    await a.stop();
    expect((await slow.ended()).messages.at(-1)?.result).toMatchObject({ structuredContent: { node: "a" } });
    expect(a.log.of("session-handed-over")).toHaveLength(1);
    expect(counted(await client.at(b.url).call("count"))).toEqual({ value: 1, node: "b" });
  });

  test.each(["before", "behind"])("where its drain is undone just %s that", async (when) => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    const slow = await client.startCall("sleep", { ms: 400, steps: 2 });
    void a.node.drain();
    const undo = () => a.node.undrain().catch(() => {});
    const undone = when === "before" ? undo() : undefined;
    const stopped = a.stop();
    await (undone ?? undo());
    await stopped;
    expect((await slow.ended()).messages.at(-1)?.result).toMatchObject({ structuredContent: { node: "a" } });
    expect(a.log.of("session-handed-over")).toHaveLength(1);
    expect(counted(await client.at(b.url).call("count"))).toEqual({ value: 2, node: "b" });
  });
});

describe("a request for a session whose owner is gone", () => {
  test("that reaches a node which stops is served by one that doesn't", async () => {
    const [a, b, c] = await Promise.all([start("a"), start("b", { edgeDelay: 1_000 }), start("c")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    await a.stop({ handOver: false });
    const stopped = b.stop();
    await eventually(async () => expect(await c.node.nodes()).toHaveLength(1), 5_000);
    expect(counted(await client.at(b.url).call("count"))).toEqual({ value: 2, node: "c" });
    await stopped;
  });
});

describe("a session stays where it is, with its state, when", () => {
  test("all other nodes drain too", async () => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    await Promise.all([a.node.drain(), b.node.drain()]);
    expect(counted(await client.call("count"))).toEqual({ value: 2, node: "a" });
  });

  test("the registry lost its entries a moment ago, until others may take it again", async () => {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    shared.lose();
    await eventually(() => expect(shared.find(client.session, Date.now())?.epoch).toBe(1));
    await a.node.drain();
    expect(a.log.of("session-not-taken")).toEqual([]);
    expect(shared.find(client.session, Date.now())).toMatchObject({ epoch: 2, owner: { tag: b.node.tag } });
    expect(counted(await client.call("count"))).toEqual({ value: 2, node: "b" });
  });

  test("its server pins it in the very moment in which it was to leave", async () => {
    const pinning: ServerDefinition = {
      ...yardstick,
      create: async (context) => {
        context.session.task("lock", async ({ signal }) => {
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          context.session.pin("it holds a lock");
        });
        return await yardstick.create(context);
      },
    };
    const [a] = await Promise.all([start("a", {}, pinning), start("b")]);
    const client = await RawClient.begin(a.url);
    void a.node.drain();
    await eventually(() => expect(shared.find(client.session, Date.now())?.pinned).toBe("it holds a lock"));
    expect(counted(await client.call("count"))).toEqual({ value: 1, node: "a" });
    expect(a.log.of("session-handed-over")).toEqual([]);
  });

  test("the person's own code fails on the node that it was offered to", async () => {
    const failing = { ...yardstick, create: () => Promise.reject(new Error("no disk")) };
    const [a, b] = await Promise.all([start("a", { drainDeadline: 500 }), start("b", {}, failing)]);
    const client = await RawClient.begin(a.url);
    await client.call("count");
    await a.node.drain();
    expect(a.log.of("session-not-taken")[0]).toMatchObject({ by: "b", why: "failed" });
    expect(counted(await client.call("count"))).toEqual({ value: 2, node: "a" });
    expect(counted(await client.at(b.url).call("count"))).toEqual({ value: 3, node: "a" });
  });
});
