import { connect, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PeerClient } from "../../src/node/peer/client.ts";
import { PeerListener } from "../../src/node/peer/listener.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { TakenAnswer } from "./peer-pair.ts";

const secret = "what the nodes of this test share";
const self = { tag: "aaaaaa", incarnation: "only" };

let log: RecordedLog;
let peers: PeerClient;
let owner: PeerListener;
let record: NodeRecord;
let release: (() => Promise<void>)[];

beforeEach(async () => {
  log = new RecordedLog();
  release = [];
  const tag = "k3f9q2";
  owner = await PeerListener.start({ self: { tag, incarnation: "1" }, secret, log, relayed: echo }, "127.0.0.1", 0);
  const peer = `http://127.0.0.1:${owner.port}`;
  record = { name: "owner", tag, incarnation: "1", url: "http://127.0.0.1:1", peer, state: "up", pid: 1, since: 0 };
  peers = client(60_000);
});
afterEach(async () => {
  for (const each of release) await each();
  await owner.stop();
});

const echo: Parameters<typeof PeerListener.start>[0]["relayed"] = async ({ sink, body }) => {
  sink.writeHead(200, []);
  sink.end(await body(1));
};

function client(probeMs: number): PeerClient {
  const made = new PeerClient({ self, secret, probeMs, holdMs: 10_000, log });
  release.push(() => made.stop());
  return made;
}

function request(node: NodeRecord, body: string): TakenAnswer {
  const taken = new TakenAnswer();
  peers.request(node, { method: "POST", headers: {}, body }, taken);
  return taken;
}

/** A node that can be frozen: it takes connections and bytes, and answers nothing. It passes on to the owner. */
async function freezable(): Promise<{
  record: NodeRecord;
  connections(): number;
  freeze(): void;
  kill(): Promise<void>;
}> {
  const pairs = new Set<{ destroy(): void; pause(): void }>();
  let connections = 0;
  let frozen = false;
  const server = createServer((near) => {
    connections += 1;
    pairs.add(near);
    near.on("error", () => {});
    if (frozen) return near.pause();
    const far = connect(owner.port, "127.0.0.1");
    pairs.add(far);
    far.on("error", () => {});
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const kill = async () => {
    for (const socket of pairs) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  release.push(kill);
  const { port } = server.address() as { port: number };
  return {
    record: { ...record, peer: `http://127.0.0.1:${port}` },
    connections: () => connections,
    freeze: () => {
      frozen = true;
      for (const socket of pairs) socket.pause();
    },
    kill,
  };
}

describe("a sign of life", () => {
  test("is asked for once by all who want it at a time, and then believed without a question", async () => {
    const { record: node, connections, freeze } = await freezable();
    expect(await Promise.all([1, 2, 3].map(() => peers.sign(node)))).toEqual(["alive", "alive", "alive"]);
    freeze();
    expect(peers.sign(node)).toBe("alive");
    expect(connections()).toBe(1);
  });

  test("is missed within a second or so when the node is frozen, known before or not", async () => {
    const strict = client(0);
    const { record: node, freeze } = await freezable();
    expect(await strict.sign(node)).toBe("alive");
    freeze();
    for (const each of [strict, client(0)]) {
      const began = performance.now();
      expect(await each.sign(node)).toBe("silent");
      expect(performance.now() - began).toBeLessThan(2_500);
    }
    expect(strict.failure(node)).toBe("it gave no sign of life");
  });

  test("is any answer", async () => {
    const quick = client(200);
    const { record: node, freeze } = await freezable();
    expect(await quick.sign(node)).toBe("alive");
    await eventually(() => expect(quick.sign(node)).not.toBe("alive"));
    const taken = new TakenAnswer();
    quick.request(node, { method: "POST", headers: {}, body: "x" }, taken);
    await eventually(() => expect(taken.whole).toBe(true), 5_000, 1);
    freeze();
    expect(quick.sign(node)).toBe("alive");
  });

  test("of a former start of a node says nothing of the present one", async () => {
    expect(await peers.sign(record)).toBe("alive");
    expect(await peers.sign({ ...record, incarnation: "2" })).toBe("silent");
    expect(peers.failure({ ...record, incarnation: "2" })).toBe("it broke the connection off");
  });

  test("is none for who stops meanwhile", async () => {
    const { record: node, freeze, connections } = await freezable();
    freeze();
    const asking = peers.sign(node);
    await eventually(() => expect(connections()).toBe(1));
    await peers.stop();
    expect(await asking).toBe("silent");
    expect(peers.sign(node)).toBe("silent");
    expect(connections()).toBe(1);
    expect(request(node, "x")).toMatchObject({ loss: undefined });
  });
});

describe("a question", () => {
  test("is answered by whoever registered for its kind", async () => {
    owner.onQuestion("owns", ({ session }, { tag }) => ({ owns: session === "mine", askedBy: tag }));
    owner.onQuestion("slow", async ({ n }) => ({ n }));
    expect(await peers.ask(record, { kind: "owns", session: "mine" }, 1_000)).toEqual({
      owns: true,
      askedBy: "aaaaaa",
    });
    const answers = await Promise.all([1, 2, 3].map((n) => peers.ask(record, { kind: "slow", n }, 1_000)));
    expect(answers).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test("finds silence where nobody knows its kind, or whoever does fails, which the log says", async () => {
    owner.onQuestion("broken", () => {
      throw new Error("out of order");
    });
    expect(await peers.ask(record, { kind: "what?" }, 1_000)).toBe("silent");
    expect(await peers.ask(record, { kind: "broken" }, 1_000)).toBe("silent");
    owner.onQuestion("long", () => ({ text: "x".repeat(16 * 1024) }));
    expect(await peers.ask(record, { kind: "long" }, 1_000)).toBe("silent");
    expect(log.of("request-failed")).toMatchObject([
      { method: "broken", error: "Error: out of order" },
      { method: "long" },
    ]);
    await expect(peers.ask(record, { kind: "long", text: "x".repeat(16 * 1024) }, 1_000)).rejects.toThrow("16 KiB");
  });

  test("finds silence at a frozen node, within its deadline", async () => {
    owner.onQuestion("ready", () => ({ yes: true }));
    const { record: node, freeze } = await freezable();
    expect(await peers.ask(node, { kind: "ready" }, 1_000)).toEqual({ yes: true });
    freeze();
    for (const each of [peers, client(0)]) {
      const began = performance.now();
      expect(await each.ask(node, { kind: "ready" }, 100)).toBe("silent");
      expect(performance.now() - began).toBeLessThan(900);
    }
  });

  test("is refused where nobody listens, known before or not, also when that happens over the question", async () => {
    const { record: node, kill } = await freezable();
    let asked = 0;
    owner.onQuestion("die", () => {
      asked += 1;
      return new Promise(() => void kill());
    });
    expect(await peers.sign(node)).toBe("alive");
    expect(await peers.ask(node, { kind: "die" }, 2_000)).toBe("refused");
    expect(await client(0).ask(node, { kind: "die" }, 2_000)).toBe("refused");
    expect(asked).toBe(1);
  });

  test("finds silence when its node is let go of over it and dies: all else in this process goes on", async () => {
    const { record: node, kill } = await freezable();
    owner.onQuestion("never", () => new Promise(() => {}));
    expect(await peers.sign(node)).toBe("alive");
    const asking = peers.ask(node, { kind: "never" }, 3_000);
    // Behind what is sent at the end of this turn.
    await new Promise((resolve) => setTimeout(resolve, 20));
    peers.keepOnly([]);
    const began = performance.now();
    await kill();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(await asking).toBe("silent");
  });

  test("finds silence when its node is let go of while it is dialled", async () => {
    owner.onQuestion("ready", () => ({ yes: true }));
    const asking = peers.ask(record, { kind: "ready" }, 3_000);
    const began = performance.now();
    peers.keepOnly([]);
    expect(await asking).toBe("silent");
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test("finds silence at a node of another secret, which the owner's log tells", async () => {
    const stranger = new PeerClient({ self, secret: "quite another secret", probeMs: 0, holdMs: 10_000, log });
    expect(await stranger.ask(record, { kind: "ready" }, 1_000)).toBe("silent");
    expect(log.of("peer-refused")).toEqual([
      { reason: "it does not have the cluster's secret", from: expect.stringContaining("127.0.0.1") },
    ]);
    await stranger.stop();
  });
});

describe("connections", () => {
  test("are made again when they broke, and let go of when their node is gone", async () => {
    const { record: node, connections } = await freezable();
    const first = request(node, "first");
    await eventually(() => expect(first.text).toBe("first"));
    peers.keepOnly([node]);
    const second = request(node, "second");
    await eventually(() => expect(second.text).toBe("second"));
    expect(connections()).toBe(1);
    peers.keepOnly([]);
    const third = request(node, "third");
    await eventually(() => expect(third.text).toBe("third"));
    expect(connections()).toBe(2);
  });

  test("end without a loss when the owner stops, and a request then is unsent", async () => {
    const before = request(record, "before");
    await eventually(() => expect(before.text).toBe("before"));
    await owner.stop();
    const after = request(record, "after");
    await eventually(() => expect(after.loss).toBe("unsent"));
    expect(log.of("peer-refused")).toEqual([]);
  });

  test("of which somebody on the way alters what they carry are cut, which the log tells", async () => {
    const altering = createServer((near) => {
      const far = connect(owner.port, "127.0.0.1");
      for (const socket of [near, far]) socket.on("error", () => {});
      let messages = 0;
      near.on("data", (chunk) => {
        messages += 1;
        // Behind hello and proof.
        if (messages > 2) chunk[12] = (chunk[12] as number) ^ 1;
        far.write(chunk);
      });
      far.pipe(near);
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
    });
    await new Promise<void>((resolve) => altering.listen(0, "127.0.0.1", resolve));
    const { port } = altering.address() as { port: number };
    const taken = request({ ...record, peer: `http://127.0.0.1:${port}` }, "pay");
    await eventually(() => expect(taken.loss).toBe("lost"));
    expect(log.of("peer-refused")).toMatchObject([{ reason: "a record was altered, forged or out of order" }]);
    altering.close();
  });
});
