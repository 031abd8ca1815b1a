import { once } from "node:events";
import { createServer, request as httpRequest, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { createNode, type MooringNode, type NodeOptions } from "mooring";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { connectClient } from "../examples/client.ts";
import { eventually } from "../support/eventually.ts";
import { call, endSession, initialize } from "../support/raw-mcp.ts";
import { RecordedLog } from "../support/recorded-log.ts";

interface Member {
  readonly node: MooringNode;
  readonly mcp: string;
  readonly log: RecordedLog;
  stop(): Promise<void>;
}

let store: MemoryStore;
let members: Member[];

async function join(name: string, options: Partial<NodeOptions> = {}): Promise<Member> {
  const http: Server = createServer();
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const log = new RecordedLog();
  const registry = new MemoryRegistry({ store });
  const node = await createNode({
    server: yardstick,
    name,
    url,
    registry,
    log,
    admin: "off",
    renew: 100,
    lease: 1_000,
    ...options,
  });
  http.on("request", (request, response) => node.handle(request, response));
  const member = {
    node,
    mcp: `${url}/mcp`,
    log,
    async stop() {
      await node.stop();
      http.closeAllConnections();
      http.close();
    },
  };
  members.push(member);
  return member;
}

beforeEach(() => {
  store = new MemoryStore();
  members = [];
});
afterEach(() => Promise.all(members.map((member) => member.stop())));

/** Nodes that know each other. */
async function cluster(size: number, options: Partial<NodeOptions> = {}): Promise<Member[]> {
  for (let index = 1; index <= size; index += 1) await join(`node-${index}`, options);
  await eventually(async () => {
    for (const { node } of members) expect(await node.nodes()).toHaveLength(size);
  });
  return members;
}

describe("a request that reaches another node than its session's owner", () => {
  test("is passed on, and its answer passed back, as if the client had reached the owner", async () => {
    const [one, two] = (await cluster(2)) as [Member, Member];
    const session = await initialize(one.mcp);
    const direct = await call(one.mcp, session, "where", {}, 1);
    const relayed = await call(two.mcp, session, "where", {}, 2);
    expect(relayed.status).toBe(200);
    expect(relayed.body.result?.structuredContent).toEqual(direct.body.result?.structuredContent);
    for (const header of ["content-type", "cache-control", "mcp-session-id", "content-length", "x-accel-buffering"]) {
      expect(relayed.headers.get(header), header).toBe(direct.headers.get(header));
    }
    expect(two.log.of("misrouted")).toEqual([
      expect.objectContaining({ session, reason: "misrouted", relayedTo: one.node.tag, number: 1 }),
    ]);
  });

  test("serves an unmodified client on every node in turn: calls, progress, elicitation, notifications", async () => {
    const [one, two, three] = (await cluster(3, { policy: "reject" })) as [Member, Member, Member];
    let turn = 0;
    const proxy = createServer((request, response) => {
      // A balancer that knows nothing: each request goes to the next node.
      const { mcp } = [one, two, three][turn++ % 3] as Member;
      const upstream = httpRequest(mcp, { method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      request.pipe(upstream);
      upstream.on("error", () => response.destroy());
      response.on("close", () => upstream.destroy());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const client = await connectClient(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}/mcp`, (q) => `${q}!`);
    for (let value = 1; value <= 9; value += 1) expect(await client.call("count")).toMatchObject({ value });
    const progress: number[] = [];
    const slow = { name: "sleep", arguments: { ms: 200, steps: 4 } };
    await client.client.callTool(slow, { onprogress: (step) => void progress.push(step.progress) });
    expect(progress).toHaveLength(4);
    expect(await client.call("ask", { question: "well" })).toEqual({ answer: "well!" });
    await client.call("announce", { count: 5, everyMs: 10 });
    await eventually(() => expect(client.logged).toEqual([1, 2, 3, 4, 5].map((n) => ({ n }))));
    await client.close();
    await eventually(() => expect(members.flatMap(({ node }) => node.sessions())).toEqual([]));
    proxy.closeAllConnections();
    proxy.close();
  });

  test("costs no Redis command while its home is up", async () => {
    const [one, two] = (await cluster(2)) as [Member, Member];
    const session = await initialize(one.mcp);
    const find = store.find.bind(store);
    let asked = 0;
    store.find = (id, now) => {
      asked += 1;
      return find(id, now);
    };
    for (let id = 1; id <= 5; id += 1)
      expect((await call(two.mcp, session, "echo", { text: "x" }, id)).status).toBe(200);
    expect(asked).toBe(0);
  });

  test("is a close also there", async () => {
    const [one, two] = (await cluster(2)) as [Member, Member];
    const session = await initialize(one.mcp);
    expect(await endSession(two.mcp, session)).toBe(200);
    expect(one.node.sessions()).toEqual([]);
    expect((await call(two.mcp, session, "where")).body.error?.data?.reason).toBe("closed");
  });

  test("tells the client what its owner says of a session that ended, and unknown of one that never was", async () => {
    const [one, two] = (await cluster(2)) as [Member, Member];
    const session = await initialize(one.mcp);
    await one.node.close(session);
    expect((await call(two.mcp, session, "where")).body).toMatchObject({
      id: null,
      error: { data: { reason: "closed" } },
    });
    const invented = `${one.node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`;
    expect((await call(two.mcp, invented, "where")).body).toMatchObject({
      id: null,
      error: { data: { reason: "unknown" } },
    });
  });

  test("is refused as misrouted where relays are off", async () => {
    const [one, two] = (await cluster(2, { relay: "off" })) as [Member, Member];
    const session = await initialize(one.mcp);
    expect((await call(two.mcp, session, "where", {}, 7)).body).toMatchObject({
      id: 7,
      error: { data: { reason: "misrouted" } },
    });
  });

  test("is passed on once only: a node that doesn't hold it says so instead of passing it further", async () => {
    const [one, two, three] = (await cluster(3, { policy: "reject" })) as [Member, Member, Member];
    const session = await initialize(one.mcp);
    await one.node.stop();
    await eventually(async () => expect(await two.node.nodes()).toHaveLength(2));
    expect((await call(two.mcp, session, "where")).body.error?.data?.reason).toBe("owner-gone");
    expect(three.log.of("misrouted")).toEqual([]);
  });
});

describe("a client that hangs up on a relayed request", () => {
  test("ends the stream at the owner, and cancels nothing", async () => {
    const [one, two] = (await cluster(2)) as [Member, Member];
    const session = await initialize(one.mcp);
    const listening = new AbortController();
    await fetch(two.mcp, {
      headers: { accept: "text/event-stream", "mcp-session-id": session },
      signal: listening.signal,
    });
    await eventually(() => expect(one.node.sessions()[0]?.streams).toBe(1));
    listening.abort();
    await eventually(() => expect(one.node.sessions()[0]?.streams).toBe(0));

    const calling = new AbortController();
    const running = fetch(two.mcp, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-session-id": session,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "sleep", arguments: { ms: 400, steps: 0 } },
      }),
      signal: calling.signal,
    });
    await (await running).body?.getReader().read();
    calling.abort();
    await eventually(() => expect(one.node.sessions()[0]).toMatchObject({ streams: 0, inFlight: 1 }));
    await eventually(() => expect(one.node.sessions()[0]?.inFlight).toBe(0));
  });
});

describe("the peer link", () => {
  /** Sends what a stranger can send, and gives all that he gets, to the end. */
  async function knock(peer: string, bytes: string): Promise<string> {
    const { hostname, port } = new URL(peer);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.end(bytes);
    let got = "";
    for await (const chunk of socket) got += String(chunk);
    return got;
  }

  test("takes nothing from whoever can't prove to belong to the cluster, and what a client claims changes nothing", async () => {
    const [one, two] = (await cluster(2)) as [Member, Member];
    const session = await initialize(one.mcp);
    const peer = (await one.node.nodes()).find(({ tag }) => tag === one.node.tag)?.peer as string;
    expect(await knock(peer, `POST /mcp HTTP/1.1\r\nHost: x\r\nmcp-session-id: ${session}\r\n\r\n`)).toBe("");
    expect(one.log.of("peer-refused").length).toBeGreaterThan(0);
    // A forged header on the serving port: relayed as any other request, and not taken for a relayed one.
    const answer = await fetch(two.mcp, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-session-id": session,
        "mooring-peer": "forged",
        "mooring-answer": "not-here",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
  });

  test("refuses nodes with another secret: their requests are misrouted, not hung", async () => {
    const one = await join("node-1", { peerSecret: "the first secret of all" });
    const two = await join("node-2", { peerSecret: "quite another secret, this" });
    await eventually(async () => expect(await two.node.nodes()).toHaveLength(2));
    const session = await initialize(one.mcp);
    expect((await call(two.mcp, session, "where")).body.error?.data?.reason).toBe("misrouted");
  });
});
