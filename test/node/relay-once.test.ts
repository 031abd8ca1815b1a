import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Exchange } from "../../src/node/exchange.ts";
import type { PeerClient, PeerNode } from "../../src/node/peer/client.ts";
import type { AnswerTaker } from "../../src/node/peer/request-stream.ts";
import { relay } from "../../src/node/relay.ts";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, type RawAnswer, send } from "../support/raw-client.ts";
import { beginEvents, type Delivery, FakeOwner, peerSecret, reply } from "./relay-fake-owner.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

let cluster: TestCluster;
let node: ClusterNode;
let owners: FakeOwner[];

beforeEach(async () => {
  cluster = new TestCluster();
  owners = [];
  node = await cluster.start("node-1", { peerSecret });
});
afterEach(async () => {
  await cluster.stop();
  for (const owner of owners) await owner.stop();
});

async function owner(handle: (delivery: Delivery) => void, name?: string): Promise<FakeOwner> {
  const started = await FakeOwner.start(cluster.store, () => cluster.clock.now(), handle, name);
  owners.push(started);
  return started;
}

const body = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "pay" } });

function post(session: string, signal?: AbortSignal): Promise<RawAnswer> {
  const headers = { accept: acceptBoth, "content-type": "application/json", "mcp-session-id": session };
  return send(node.url, { method: "POST", headers, body, ...(signal && { signal }) });
}

function get(session: string): Promise<RawAnswer> {
  return send(node.url, { headers: { accept: "text/event-stream", "mcp-session-id": session } });
}

const reasonOf = (answer: RawAnswer) => (answer.message?.error?.data as { reason: string } | undefined)?.reason;

const notHere = (delivery: Delivery) => reply(delivery, 421, { "mooring-answer": "not-here" });
const ok = (delivery: Delivery) => reply(delivery, 200, { "content-type": "application/json" }, "{}");

test("a request that no node takes leaves nothing behind at its connection, however often it was passed on", async () => {
  const sink = Object.assign(new EventEmitter(), { destroyed: false });
  const exchange = { method: "POST", headers: {}, sink } as unknown as Exchange;
  const answers: ((taker: AnswerTaker) => void)[] = [
    (taker) => taker.head(421, ["mooring-answer", "not-here"], Buffer.alloc(0), true),
    (taker) => taker.lost("unsent"),
  ];
  for (const give of answers) {
    const request = (_node: unknown, _request: unknown, taker: AnswerTaker) => {
      taker.opened({ read: () => {}, cancel: () => {} });
      give(taker);
    };
    for (let times = 0; times < 20; times += 1) {
      const outcome = await relay({ request } as unknown as PeerClient, {} as PeerNode, exchange, body);
      expect(outcome).not.toBe("answered");
    }
  }
  expect(sink.listenerCount("close")).toBe(0);
});

describe("a request that was sent to the owner", () => {
  test("is never sent again when the owner dies after reading it: the client gets 502 and has to decide", async () => {
    const dying = await owner(({ die }) => die());
    const answer = await (await post(dying.session(cluster.store))).ended();
    expect(answer.status).toBe(502);
    expect(answer.message?.error?.message).toMatch(/may or may not have been done/);
    expect(dying.deliveries).toHaveLength(1);
    expect(dying.deliveries[0]?.body).toBe(body);
  });

  test("is over when its client hangs up before the head, so that a node that stops does not wait for it", async () => {
    const slow = await owner(() => {});
    const hangingUp = new AbortController();
    const posting = post(slow.session(cluster.store), hangingUp.signal).catch(() => {});
    await eventually(() => expect(slow.deliveries).toHaveLength(1));
    hangingUp.abort();
    await posting;
    await eventually(() => expect(slow.deliveries[0]?.sink.destroyed).toBe(true));
    const began = performance.now();
    await node.stop();
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  test("nor when that happens on a connection that had served before", async () => {
    let calls = 0;
    const dying = await owner((delivery) => (++calls < 3 ? ok(delivery) : delivery.die()));
    const session = dying.session(cluster.store);
    for (const status of [200, 200, 502]) expect((await (await post(session)).ended()).status).toBe(status);
    expect(dying.deliveries).toHaveLength(3);
    expect(dying.connections).toBe(1);
  });

  test("is not followed by another to the node that the registry names", async () => {
    const home = await owner(({ die }) => die());
    const second = await owner(ok, "second");
    expect((await (await post(second.session(cluster.store, home.record.tag))).ended()).status).toBe(502);
    expect(second.deliveries).toEqual([]);
  });

  test("breaks, and does not end, when the owner is destroyed in the middle of an answer with a length", async () => {
    const dying = await owner(({ sink, die }) => {
      sink.writeHead(200, ["Content-Type", "application/json", "Content-Length", "100"]);
      sink.write('{"half":');
      die();
    });
    const session = dying.session(cluster.store);
    const answer = await (await post(session)).ended();
    expect(answer.end).toBe("cut");
    expect(answer.headers["content-length"]).toBe("100");
    expect(dying.deliveries).toHaveLength(1);
  });

  test("ends when it is a stream: its client asks for the rest", async () => {
    const dying = await owner(({ sink, die }) => {
      sink.writeHead(200, ["Content-Type", "text/event-stream"]);
      sink.write("id: c1-0\ndata: \n\n");
      setTimeout(die, 50);
    });
    const answer = await (await post(dying.session(cluster.store))).ended();
    expect(answer.end).toBe("whole");
    expect(answer.lastEventId).toBe("c1-0");
  });

  test.each(["DELETE", "GET"])("%s gets an answer also when the owner dies over it", async (method) => {
    const dying = await owner(({ die }) => die());
    const session = dying.session(cluster.store);
    const headers = { accept: "text/event-stream", "mcp-session-id": session };
    const answer = await (await send(node.url, { method, headers })).ended();
    expect(answer.status).toBe(method === "DELETE" ? 200 : 404);
    expect(cluster.find(session) === undefined).toBe(method === "DELETE");
    expect(dying.deliveries).toHaveLength(1);
  });
});

describe("a request of which nothing was sent", () => {
  test.each(["while its last sign of life is believed", "and nobody saw it alive"])(
    "because its owner refuses connections, %s: the registry is asked, and it is misrouted",
    async (when) => {
      await node.stop();
      node = await cluster.start("node-2", { peerSecret, probe: 60_000 });
      const gone = await owner(ok);
      const session = gone.session(cluster.store);
      if (when.startsWith("while")) expect((await (await post(session)).ended()).status).toBe(200);
      await gone.stop();
      const find = vi.spyOn(cluster.store, "find");
      const answer = await (await post(session)).ended();
      expect(answer.status).toBe(404);
      expect(reasonOf(answer)).toBe("misrouted");
      expect(answer.message?.id).toBe(7);
      expect(find).toHaveBeenCalledTimes(1);
      expect(node.log.of("peer-unreachable")).toHaveLength(1);
    },
  );

  test("goes to the node that the registry names, when its home does not hold it", async () => {
    const home = await owner(notHere);
    const second = await owner(ok, "second");
    const answer = await (await post(second.session(cluster.store, home.record.tag))).ended();
    expect(answer.status).toBe(200);
    expect(second.deliveries.map((delivery) => delivery.body)).toEqual([body]);
    expect(home.deliveries).toHaveLength(1);
  });

  test("is passed on twice at most, to two nodes, and then refused", async () => {
    const home = await owner(notHere);
    const second = await owner(notHere, "second");
    const third = await owner(ok, "third");
    const answer = await (await post(second.session(cluster.store, home.record.tag))).ended();
    expect(reasonOf(answer)).toBe("owner-gone");
    expect([home, second, third].map(({ deliveries }) => deliveries.length)).toEqual([1, 1, 0]);
  });
});

describe("a client that hangs up before anything was sent to the owner", () => {
  test.each(["GET", "POST"] as const)("leaves nothing open there: %s", async (method) => {
    const patient = await owner(beginEvents);
    let giveSign = () => {};
    patient.silence = new Promise((resolve) => {
      giveSign = resolve;
    });
    let isGone = false;
    const front = createServer((request, response) => {
      response.once("close", () => {
        isGone = true;
      });
      node.node.handle(request, response);
    });
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    const client = new AbortController();
    const session = patient.session(cluster.store);
    const { signal } = client;
    const headers = { accept: acceptBoth, "content-type": "application/json", "mcp-session-id": session };
    const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
    const asking = send(url, { method, headers, signal, ...(method === "POST" && { body }) });
    await eventually(() => expect(patient.connections).toBe(1));
    client.abort();
    await expect(asking).rejects.toThrow();
    await eventually(() => expect(isGone).toBe(true));
    giveSign();
    // What it posted is done, as if it had reached the owner itself; a stream is of no use to anybody.
    await (await get(session)).cut();
    await eventually(() => {
      const methods = patient.deliveries.map(({ method }) => method);
      expect(methods.sort()).toEqual(method === "POST" ? ["GET", "POST"] : ["GET"]);
      expect(patient.deliveries.every(({ sink }) => sink.destroyed)).toBe(true);
    });
    front.close();
  });
});

describe("connections to an owner", () => {
  test("are used again, and open streams don't make calls wait", async () => {
    const held: Delivery[] = [];
    const busy = await owner((delivery) => {
      if (delivery.method === "POST") return ok(delivery);
      held.push(delivery);
      beginEvents(delivery);
    });
    const session = busy.session(cluster.store);
    for (let call = 0; call < 10; call += 1) await (await post(session)).ended();
    const streams = await Promise.all(Array.from({ length: 100 }, () => get(session)));
    const began = performance.now();
    for (let call = 0; call < 10; call += 1) expect((await (await post(session)).ended()).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(busy.connections).toBe(1);
    for (const stream of streams) stream.cut();
    await eventually(() => expect(held.every(({ sink }) => sink.destroyed)).toBe(true));
  });

  test("and streams on them end when the node stops, also those to a former start of the owner", async () => {
    const present = await owner(beginEvents);
    const former = await owner(beginEvents, "former");
    const streams = [await get(present.session(cluster.store)), await get(former.session(cluster.store))];
    cluster.store.leave(former.record);
    await eventually(async () => expect(await node.node.nodes()).toHaveLength(2));
    expect(former.openConnections).toBeGreaterThan(0);
    await node.node.stop();
    for (const answer of streams) expect((await answer.ended()).end).toBe("whole");
    for (const one of [present, former]) await eventually(() => expect(one.openConnections).toBe(0));
    // Still asked, a stopped node opens nothing anew.
    const before = present.connections;
    await (await post(present.session(cluster.store))).ended();
    expect(present.connections).toBe(before);
  });
});
