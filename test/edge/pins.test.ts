import { Agent } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownHeaders } from "../../src/edge/own-headers.ts";
import { tagOf } from "../../src/model/tag.ts";
import { type Backend, startBackends } from "./backends.ts";
import { ask, sessionOf } from "./clients.ts";
import { type RealTraefik, startTraefik } from "./real-traefik.ts";

let backends: Backend[];
let edge: RealTraefik;
const gone = tagOf("a node that is gone");

beforeAll(async () => {
  backends = await startBackends("node-1", "node-2", "node-3");
  const nodes = backends.map(({ node }) => (node.name === "node-2" ? { ...node, inherits: [gone] } : node));
  edge = await startTraefik({ nodes });
});

afterAll(async () => {
  await edge?.stop();
  await Promise.all((backends ?? []).map((backend) => backend.stop()));
});

describe("a client without cookies reaches its session's node on the first hop", () => {
  test("50 sessions, 5 requests each, all at once", async () => {
    const sessions = Array.from({ length: 50 }, (_, index) => {
      const { node } = backends[index % backends.length] as Backend;
      return { id: sessionOf(node.tag), home: node.name };
    });
    const replies = await Promise.all(
      sessions.flatMap(({ id, home }) =>
        Array.from({ length: 5 }, async (_, index) => {
          const { status, seen, cookies } = await ask(`${edge.http}/mcp`, { session: id, body: `{"id":${index}}` });
          return { status, cookies, asWanted: seen.node === home && seen.headers["mcp-session-id"] === id };
        }),
      ),
    );
    expect(replies).toHaveLength(250);
    expect(replies.filter((reply) => !reply.asWanted || reply.status !== 200 || reply.cookies.length > 0)).toEqual([]);
  });

  test.each(["/mcp", "/mcp/", "/mcp?a=b", "/mcp/below"])("on %s, over HTTP and HTTPS", async (path) => {
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
    for (const { node } of backends) {
      for (const base of [edge.http, edge.https]) {
        const reply = await ask(`${base}${path}`, { session: sessionOf(node.tag), dispatcher });
        expect(reply).toMatchObject({ status: 200, cookies: [], seen: { node: node.name } });
      }
    }
    await dispatcher.close();
  });

  test("the session id beats a cookie that says otherwise", async () => {
    const opened = await ask(`${edge.http}/mcp`);
    const cookie = opened.cookies[0]?.split(";")[0] as string;
    for (const { node } of backends) {
      const reply = await ask(`${edge.http}/mcp`, { session: sessionOf(node.tag), headers: { cookie } });
      expect(reply).toMatchObject({ cookies: [], seen: { node: node.name } });
    }
  });

  test("the tag of a node that is gone for good leads to its heir", async () => {
    for (let asked = 0; asked < 3; asked += 1) {
      const reply = await ask(`${edge.http}/mcp`, { session: sessionOf(gone) });
      expect(reply.seen.node).toBe("node-2");
      expect(reply.seen.headers).not.toHaveProperty("mooring-failover");
    }
  });

  test.each(["zzzzzz.unknown", "no-tag", "", "x8cya6h.", "8CYA6H.x"])(
    "what no node minted (%j) goes around, and is the node's to refuse",
    async (session) => {
      const nodes = new Set<string>();
      for (let asked = 0; asked < 9; asked += 1) {
        const reply = await ask(`${edge.http}/mcp`, { session });
        expect(reply.status).toBe(200);
        nodes.add(reply.seen.node);
      }
      expect(nodes.size).toBe(3);
    },
  );
});

describe("nobody outside can claim what only the edge and the nodes say", () => {
  test.each(["/mcp", "/graphql"])("headers of ours are taken out of what comes to %s", async (path) => {
    const forged = Object.fromEntries(ownHeaders.map((name) => [name, "1"]));
    for (const session of [undefined, sessionOf((backends[0] as Backend).node.tag)]) {
      const { seen } = await ask(`${edge.http}${path}`, { headers: forged, ...(session ? { session } : {}) });
      expect(Object.keys(seen.headers).filter((name) => name.startsWith("mooring"))).toEqual([]);
    }
  });

  test("a header that only looks like one of ours is taken out too", async () => {
    const { seen } = await ask(`${edge.http}/mcp`, { headers: { Mooring_Failover: "1", "Mooring.Failover": "1" } });
    expect(Object.keys(seen.headers).filter((name) => name.startsWith("mooring"))).toEqual([]);
  });
});

describe("affinity is chosen", () => {
  test("by session id alone: pins, and no cookie", async () => {
    const only = await startTraefik({ nodes: backends.map(({ node }) => node) }, { affinity: ["session-id"] });
    try {
      expect((await ask(`${only.http}/mcp`)).cookies).toEqual([]);
      for (const { node } of backends) {
        expect((await ask(`${only.http}/mcp`, { session: sessionOf(node.tag) })).seen.node).toBe(node.name);
      }
      expect(only.log()).toBe("");
    } finally {
      await only.stop();
    }
  });

  test("by cookie alone: a cookie, and a session id means nothing to the edge", async () => {
    const only = await startTraefik({ nodes: backends.map(({ node }) => node) }, { affinity: ["cookie"] });
    try {
      const session = sessionOf((backends[0] as Backend).node.tag);
      const nodes = new Set<string>();
      for (let asked = 0; asked < 9; asked += 1) {
        const reply = await ask(`${only.http}/mcp`, { session });
        expect(reply.cookies).toHaveLength(1);
        nodes.add(reply.seen.node);
      }
      expect(nodes.size).toBe(3);
      expect(only.log()).toBe("");
    } finally {
      await only.stop();
    }
  });
});

test("Traefik had nothing to complain about", () => {
  expect(edge.log()).toBe("");
});
