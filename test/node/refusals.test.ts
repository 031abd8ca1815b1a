import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionRecord } from "../../src/ports/registry.ts";
import { eventually } from "../support/eventually.ts";
import { acceptBoth, type RawAnswer, type RawClient, send } from "../support/raw-client.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

let cluster: TestCluster;
let first: ClusterNode;
let second: ClusterNode;

beforeEach(async () => {
  cluster = new TestCluster();
  first = await cluster.start("node-1", { relay: "off" });
  second = await cluster.start("node-2", { relay: "off" });
});

afterEach(async () => {
  await cluster.stop();
});

const hour = 60 * 60_000;

async function post(node: ClusterNode, session: string, id: string | number = 7): Promise<RawAnswer> {
  const headers = { accept: acceptBoth, "content-type": "application/json", "mcp-session-id": session };
  const body = JSON.stringify({ jsonrpc: "2.0", id, method: "ping" });
  return await (await send(node.url, { method: "POST", headers, body })).ended();
}

async function get(node: ClusterNode, session: string): Promise<RawAnswer> {
  return await (await send(node.url, { headers: { accept: "text/event-stream", "mcp-session-id": session } })).ended();
}

/** The body of a refusal, to the letter. */
function refusal(reason: string, id: string | number | null, next: string) {
  const error = { code: -32001, message: expect.stringMatching(/^Session not .*\. Send /), data: { reason, next } };
  return { jsonrpc: "2.0", error, id };
}

async function expectRefused(node: ClusterNode, session: string, reason: string): Promise<void> {
  const [id, next] = reason === "misrouted" ? [7, "retry"] : [null, "initialize"];
  for (const answer of [await post(node, session), await get(node, session)]) {
    expect(answer.status).toBe(404);
    expect(answer.headers["content-type"]).toBe("application/json");
  }
  expect(JSON.parse((await post(node, session)).text)).toEqual(refusal(reason, id, next as string));
  // A GET has no id of its own.
  expect(JSON.parse((await get(node, session)).text)).toEqual(refusal(reason, null, next as string));
}

describe("a session that can't be served gets 404 with its reason", () => {
  test("unknown: no node and no registry knows it", async () => {
    await expectRefused(first, `${first.node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`, "unknown");
    await expectRefused(first, `${second.node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`, "unknown");
  });

  test("misrouted: it lives on another node; the answer has the request's own id", async () => {
    const client = await first.begin();
    await expectRefused(second, client.session, "misrouted");
    expect(JSON.parse((await post(second, client.session, "a text")).text)).toMatchObject({ id: "a text" });
  });

  test("closed: for an hour on the node that ended it, elsewhere it is unknown", async () => {
    const client = await first.begin();
    await client.delete();
    await expectRefused(first, client.session, "closed");
    await expectRefused(second, client.session, "unknown");
    cluster.clock.pass(hour);
    await expectRefused(first, client.session, "closed");
    cluster.clock.pass(1);
    await expectRefused(first, client.session, "unknown");
  });

  test("owner-gone: its node stopped", async () => {
    const client = await first.begin();
    await first.stop();
    await expectRefused(second, client.session, "owner-gone");
  });

  test("owner-gone: its node died without a word, and its time has run out", async () => {
    const client = await first.begin();
    const record = cluster.find(client.session);
    // Written by a node that never renewed.
    const gone = `${client.session.slice(0, 7)}BBBBBBBBBBBBBBBBBBBBBBBB`;
    cluster.store.claim(
      { ...record, id: gone, owner: { tag: "0gnats", incarnation: "dead" }, epoch: 1, createdAt: 0 },
      Date.now(),
    );
    await expectRefused(second, gone, "owner-gone");
    await expectRefused(first, gone, "owner-gone");
  });

  test("owner-gone: its node was started again under the same name, and has no memory of it", async () => {
    const client = await first.begin();
    await first.stop();
    const again = await cluster.start("node-1", { relay: "off" });
    expect(again.node.tag).toBe(first.node.tag);
    expect(again.node.incarnation).not.toBe(first.node.incarnation);
    await expectRefused(again, client.session, "owner-gone");
    await expectRefused(second, client.session, "owner-gone");
  });

  test("never tells a client to retry at a node that is said to own the session, but doesn't", async () => {
    const id = `${first.node.tag}.CCCCCCCCCCCCCCCCCCCCCCCC`;
    const owner = { tag: first.node.tag, incarnation: first.node.incarnation };
    cluster.store.claim({ id, owner, epoch: 1, createdAt: 0 }, Date.now());
    await expectRefused(first, id, "owner-gone");
  });

  test("whatever the body is: a node that doesn't hold the session doesn't judge it", async () => {
    const client = await first.begin();
    const headers = { accept: acceptBoth, "content-type": "application/json", "mcp-session-id": client.session };
    for (const body of ["{", "[]", "5", '{"jsonrpc":"2.0","id":{"a":1},"method":"x"}']) {
      const answer = await (await send(second.url, { method: "POST", headers, body })).ended();
      expect([answer.status, answer.message?.id]).toEqual([404, null]);
    }
  });
});

describe("the log tells refusals apart", () => {
  test("misrouted, unknown and others are different events, with session and reason", async () => {
    const client = await first.begin();
    const unknown = `${first.node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`;
    await post(second, client.session);
    await post(second, unknown);
    await client.delete();
    await post(first, client.session);
    expect(second.log.of("misrouted")).toMatchObject([{ session: client.session, reason: "misrouted" }]);
    expect(second.log.of("unknown")).toMatchObject([{ session: unknown, reason: "unknown" }]);
    expect(first.log.of("refused")).toMatchObject([{ session: client.session, reason: "closed" }]);
    expect(first.log.of("unknown")).toEqual([]);
  });

  test("misroutes of one session are sampled: the first, then every hundredth", async () => {
    const client = await first.begin();
    const other = await first.begin();
    for (let count = 0; count < 201; count += 1) await post(second, client.session);
    await post(second, other.session);
    expect(second.log.of("misrouted").map(({ session, number }) => [session, number])).toEqual([
      [client.session, 1],
      [client.session, 101],
      [client.session, 201],
      [other.session, 1],
    ]);
  });
});

describe("hasSession", () => {
  test("is true for a session held here, and false for one that exists only in the registry, which is logged", async () => {
    const client = await first.begin();
    expect(await first.node.hasSession(client.session)).toBe(true);
    expect(await second.node.hasSession(client.session)).toBe(false);
    expect(first.log.of("misrouted")).toEqual([]);
    expect(second.log.of("misrouted")).toEqual([
      { session: client.session, reason: "misrouted", owner: first.node.tag },
    ]);
  });

  test("is false for an unknown or a closed one, which is no mismatch", async () => {
    const client = await first.begin();
    await client.delete();
    for (const id of [client.session, "nonsense", "__proto__", `${first.node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA`]) {
      expect(await first.node.hasSession(id)).toBe(false);
    }
    expect(first.log.of("misrouted")).toEqual([]);
  });
});

describe("close", () => {
  const streamsEnd = async (stream: RawAnswer) => expect((await stream.ended()).end).toBe("whole");

  test("by DELETE on another node than the owner's removes the key, and the owner drops its copy", async () => {
    const client = await first.begin();
    const stream = await client.listen();
    expect((await second.for(client).delete()).status).toBe(200);
    expect(cluster.find(client.session)).toBeUndefined();
    await streamsEnd(stream);
    await eventually(() => expect(first.node.sessions()).toEqual([]));
    await expectRefused(first, client.session, "closed");
  });

  test("by node.close on another node does the same", async () => {
    const client = await first.begin();
    const stream = await client.listen();
    expect(await second.node.close(client.session)).toBe(true);
    await streamsEnd(stream);
    expect(cluster.find(client.session)).toBeUndefined();
    expect(await second.node.close(client.session)).toBe(false);
  });

  test("after the owner's death removes the key", async () => {
    const client = await first.begin();
    await first.stop();
    expect(cluster.find(client.session)).toBeDefined();
    expect((await second.for(client).delete()).status).toBe(200);
    expect(cluster.find(client.session)).toBeUndefined();
    await expectRefused(second, client.session, "unknown");
  });

  test("of a session that the registry has just lost ends it, and is remembered", async () => {
    const client = await first.begin();
    const record = cluster.find(client.session) as SessionRecord;
    cluster.store.lose();
    expect(await second.node.close(client.session)).toBe(true);
    await eventually(() => expect(first.node.sessions()).toEqual([]));
    expect(cluster.store.claim(record, Date.now())).toEqual({ kind: "closed" });
  });

  test("of an unknown session is refused, of a closed one too", async () => {
    const client = await first.begin();
    const unknown = { ...client, session: `${first.node.tag}.AAAAAAAAAAAAAAAAAAAAAAAA` };
    const answer = await send(first.url, { method: "DELETE", headers: { "mcp-session-id": unknown.session } });
    expect(answer.status).toBe(404);
    expect(JSON.parse((await answer.ended()).text)).toEqual(refusal("unknown", null, "initialize"));
    await client.delete();
    const again = await client.delete();
    expect(again.status).toBe(404);
    expect(JSON.parse(again.text)).toEqual(refusal("closed", null, "initialize"));
  });

  test("leaves the owner's other sessions alone", async () => {
    const [client, other] = [await first.begin(), await first.begin()];
    await second.for(client).delete();
    await eventually(() => expect(first.node.sessions()).toHaveLength(1));
    expect(await other.call("echo", { text: "a" })).toMatchObject({ result: {} });
  });
});

test("what operators see of a session", async () => {
  cluster.clock.pass(5_000);
  const client: RawClient = await first.begin({ version: "2025-06-18" });
  const createdAt = cluster.clock.now();
  cluster.clock.pass(1_000);
  const call = await client.startCall("wait", { name: "a" });
  const stream = await client.listen();
  await eventually(() => expect(first.node.sessions()[0]?.streams).toBe(2));
  expect(first.node.sessions()).toEqual([
    {
      id: client.session,
      node: "node-1",
      home: first.node.tag,
      epoch: 1,
      createdAt,
      lastSeenAt: createdAt + 1_000,
      client: "raw/1",
      protocolVersion: "2025-06-18",
      streams: 2,
      inFlight: 1,
      principal: null,
    },
  ]);
  expect((await second.node.nodes()).map(({ name }) => name)).toEqual(["node-1", "node-2"]);
  (await first.conducted.call("a")).answer("done");
  await call.ended();
  stream.cut();
});
