import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collectGarbage } from "../support/collect-garbage.ts";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, type RawClient, send } from "../support/raw-client.ts";
import { httpRequest, RawSocket } from "../support/raw-socket.ts";
import { type Delivery, FakeOwner, peerSecret } from "./relay-fake-owner.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

let cluster: TestCluster;
let here: ClusterNode;
let there: ClusterNode;
let client: RawClient;

/** A session on another node, and its client, which reaches this one. */
beforeEach(async () => {
  cluster = new TestCluster();
  here = await cluster.start("node-1", { peerSecret });
  there = await cluster.start("node-2", { peerSecret });
  await eventually(async () => expect(await here.node.nodes()).toHaveLength(2));
  client = here.for(await there.begin());
});
afterEach(() => cluster.stop());

describe("an answer that is passed on", () => {
  test("brings each event as it leaves its owner, within milliseconds", async () => {
    const stream = await client.listen();
    const answer = await client.startCall("wait", { name: "slow" });
    const call = await there.conducted.call("slow");
    const took: number[] = [];
    for (let n = 1; n <= 10; n += 1) {
      const began = performance.now();
      await Promise.all([call.progress(n), there.conducted.session(client.session).announce(n)]);
      await eventually(() => expect([answer.messages.length, stream.messages.length]).toEqual([n, n]), 5_000, 1);
      took.push(performance.now() - began);
    }
    call.answer("done");
    await answer.ended();
    // The middle one: the machine may be busy with something else for a moment.
    expect(took.sort((a, b) => a - b)[5]).toBeLessThan(50);
  });

  test("leaves in one write when it is quick, head and body, with its length", async () => {
    const socket = await RawSocket.open(here.url);
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "echo", arguments: { text: "x" } },
    });
    const headers = { Accept: acceptBoth, "Content-Type": "application/json", "Mcp-Session-Id": client.session };
    for (let call = 0; call < 3; call += 1) {
      const reads = await socket.ask(httpRequest("POST", "/mcp", headers, body));
      expect(reads).toHaveLength(1);
      expect(reads[0]).toMatch(/^HTTP\/1\.1 200 /);
      expect(reads[0]?.match(/^date: /gim)).toHaveLength(1);
    }
    socket.socket.destroy();
  });

  test("ends at its owner when the client aborts, and the call goes on", async () => {
    const answer = await client.startCall("wait", { name: "left" });
    const call = await there.conducted.call("left");
    const stream = await client.listen();
    await eventually(() => expect(there.node.sessions()[0]?.streams).toBe(2));
    answer.cut();
    stream.cut();
    await eventually(() => expect(there.node.sessions()[0]).toMatchObject({ streams: 0, inFlight: 1 }));
    expect(call.aborted).toBe(false);
    call.answer("done");
  });

  test("leaves nothing at either end when the owner stops, and when the node between stops", async () => {
    const stream = await client.listen();
    await there.stop();
    expect((await stream.ended()).end).toBe("whole");
    there = await cluster.start("node-3", { peerSecret });
    await eventually(async () => expect(await here.node.nodes()).toHaveLength(2));
    client = here.for(await there.begin());
    const second = await client.listen();
    await eventually(() => expect(there.node.sessions()[0]?.streams).toBe(1));
    await here.node.stop();
    expect((await second.ended()).end).toBe("whole");
    await eventually(() => expect(there.node.sessions()[0]?.streams).toBe(0));
  });
});

describe("who may call", () => {
  const origin = "https://app.example";

  test("is checked by the node that was reached, which also tells browsers, once", async () => {
    await here.stop();
    here = await cluster.start("node-1", { peerSecret, allowOrigin: [origin] });
    client = here.for(client);
    const answer = await (await client.post({ jsonrpc: "2.0", id: 1, method: "ping" }, { origin })).ended();
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBe(origin);
    expect(answer.headers["access-control-expose-headers"]).toBe("Mcp-Session-Id, WWW-Authenticate");
    expect(answer.headers.vary).toBe("Origin");
    const stream = await send(here.url, {
      headers: { accept: "text/event-stream", "mcp-session-id": client.session, origin },
    });
    expect(stream.headers["access-control-allow-origin"]).toBe(origin);
    stream.cut();
  });

  test.each<Record<string, string>>([{ origin: "https://evil.example" }, { host: "evil.example" }])(
    "refuses %o before it is passed on",
    async (bad) => {
      const answer = await (await client.post({ jsonrpc: "2.0", id: 1, method: "ping" }, bad)).ended();
      expect(answer.status).toBe(403);
      expect(here.log.of("misrouted")).toEqual([]);
    },
  );
});

describe("a body", () => {
  const padded = (bytes: number) => {
    const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo", arguments: { text: "" } } };
    message.params.arguments.text = "x".repeat(bytes - JSON.stringify(message).length);
    return message;
  };

  test("of 4 MiB is passed on, and a larger one refused", { timeout: 20_000 }, async () => {
    expect((await (await client.post(padded(4 * 1024 * 1024))).ended()).status).toBe(200);
    expect((await (await client.post(padded(4 * 1024 * 1024 + 1))).ended()).status).toBe(413);
  });
});

describe("headers", () => {
  test("of one hop, and those between nodes, are passed on in neither direction; all others are, in both", async () => {
    const owner = await FakeOwner.start(
      cluster.store,
      () => cluster.clock.now(),
      ({ sink }: Delivery) => {
        const head = {
          "Content-Type": "application/json",
          "Content-Length": "2",
          Date: "yesterday",
          "Mooring-Secret": "1",
          "Proxy-Authenticate": "x",
          "Transfer-Encoding": "chunked",
          "X-Own": "\u00f6",
        };
        sink.writeHead(200, [...Object.entries(head).flat(), "Set-Cookie", "a=1", "Set-Cookie", "b=2"]);
        sink.end("{}");
      },
    );
    const session = owner.session(cluster.store);
    const headers = {
      accept: acceptBoth,
      "content-type": "application/json",
      connection: "keep-alive, X-Hop, Mcp-Session-Id",
      "x-hop": "1",
      "mcp-session-id": session,
      "keep-alive": "timeout=1",
      "proxy-authorization": "secret",
      te: "trailers",
      "mooring-peer": "forged",
      "mooring-anything": "forged",
      authorization: "Bearer t",
      cookie: "c=1; d=2",
      "last-event-id": "7",
      "x-own": "ä",
      traceparent: "00-1",
    };
    const answer = await (await send(here.url, { method: "POST", headers, body: Buffer.from("[]") })).ended();
    expect(answer.status).toBe(200);
    const got = owner.deliveries[0]?.headers ?? {};
    for (const name of ["x-hop", "keep-alive", "proxy-authorization", "te", "mooring-peer", "mooring-anything", "host"])
      expect(got).not.toHaveProperty(name);
    expect(got).toMatchObject({
      authorization: "Bearer t",
      cookie: "c=1; d=2",
      "last-event-id": "7",
      "x-own": "ä",
      traceparent: "00-1",
    });
    for (const name of ["mooring-secret", "proxy-authenticate", "transfer-encoding"])
      expect(answer.headers).not.toHaveProperty(name);
    expect(answer.headers).toMatchObject({ "x-own": "ö", "set-cookie": ["a=1", "b=2"], "content-length": "2" });
    await owner.stop();
  });
});

describe("readers that don't read", () => {
  test("hold back the owner rather than fill the memory of the node between", { timeout: 30_000 }, async () => {
    const bytes = 10 * 1024 * 1024;
    const readers = 20;
    const chunk = randomBytes(64 * 1024);
    let written = 0;
    const owner = await FakeOwner.start(
      cluster.store,
      () => cluster.clock.now(),
      ({ sink }: Delivery) => {
        sink.writeHead(200, ["Content-Type", "application/octet-stream", "Content-Length", String(bytes)]);
        let sent = 0;
        const more = (): void => {
          while (sent < bytes) {
            sent += chunk.length;
            written += chunk.length;
            if (!sink.write(chunk)) return void sink.once("drain", more);
          }
          sink.end();
        };
        more();
      },
      "big-owner",
    );
    const session = owner.session(cluster.store);
    const retained = () => {
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = retained();
    const headers = { accept: "text/event-stream", "mcp-session-id": session };
    const answers = await Promise.all(
      Array.from({ length: readers }, async () => {
        const answer = await send(here.url, { headers });
        answer.pause();
        return answer;
      }),
    );
    let last = -1;
    await eventually(
      () => {
        const still = written === last;
        last = written;
        expect(still).toBe(true);
      },
      10_000,
      300,
    );
    // All three ends are in this process, and the kernel's buffers on loopback are the largest part of what was sent.
    expect(written).toBeLessThan(readers * bytes * 0.9);
    // What is not held any more is freed beside the program, a moment after it was collected.
    await eventually(() => expect(retained() - before).toBeLessThan(readers * 1024 * 1024));
    for (const answer of answers.slice(1)) answer.cut();
    answers[0]?.resume();
    expect((await answers[0]?.ended())?.end).toBe("whole");
    await owner.stop();
  });
});
