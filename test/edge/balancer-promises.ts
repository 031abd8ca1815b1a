import { Agent, request } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { ownHeaders } from "../../src/edge/own-headers.ts";
import type { ClusterView } from "../../src/edge/view.ts";
import type { Affinity } from "../../src/model/settings.ts";
import { tagOf } from "../../src/model/tag.ts";
import { type Answer, type Backend, startBackend } from "./backends.ts";
import { ask, sessionOf } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { pacedStream } from "./paced-stream.ts";
import type { RunningBalancer } from "./run-balancer.ts";

type Start = (view: ClusterView, affinity: readonly Affinity[]) => Promise<RunningBalancer>;

/** Says what was seen; opens a session when asked to, as a node does. */
const answerAsNode: Answer = (_request, response, seen) => {
  if (seen.body === "initialize") response.setHeader("mcp-session-id", sessionOf(tagOf(seen.node)));
  response.setHeader("content-type", "application/json").end(JSON.stringify(seen));
};

/** What a balancer promises whose configuration is rendered from the cluster's view. */
export function balancerPromises(name: string, start: Start): void {
  const running: { stop(): Promise<void> }[] = [];

  afterEach(async () => {
    for (const one of running.splice(0).reverse()) await one.stop();
  });

  async function nodes(answer: Answer = answerAsNode): Promise<[Backend, Backend, Backend]> {
    const started = await Promise.all(["node-1", "node-2", "node-3"].map((each) => startBackend(each, answer)));
    running.push(...started);
    return started as [Backend, Backend, Backend];
  }

  async function edge(
    backends: readonly Backend[],
    change: (node: Backend["node"]) => Backend["node"] = (node) => node,
    affinity: readonly Affinity[] = ["session-id", "cookie"],
  ): Promise<string> {
    const balancer = await start({ nodes: backends.map(({ node }) => change(node)) }, affinity);
    running.push(balancer);
    return balancer.url;
  }

  async function whoAnswers(times: number, url: string, asking: Parameters<typeof ask>[1] = {}): Promise<string[]> {
    const names = new Set<string>();
    for (let asked = 0; asked < times; asked += 1) names.add((await ask(url, asking)).seen.node);
    return [...names].sort();
  }

  describe(`${name}, configured from the view`, () => {
    test("brings a client without cookies to its session's node on the first hop", async () => {
      const backends = await nodes();
      const url = await edge(backends);
      const sessions = Array.from({ length: 30 }, (_, index) => (backends[index % 3] as Backend).node);
      const replies = await Promise.all(
        sessions.flatMap((node) => {
          const session = sessionOf(node.tag);
          return Array.from({ length: 5 }, async () => {
            const reply = await ask(`${url}/mcp`, { session, body: "call" });
            return reply.status === 200 && reply.seen.node === node.name && reply.cookies.length === 0;
          });
        }),
      );
      expect(replies).toHaveLength(150);
      expect(replies.filter((asWanted) => !asWanted)).toEqual([]);
    });

    test("keeps a client with cookies at one node, by a cookie with the record's attributes", async () => {
      const url = await edge(await nodes());
      const opened = await ask(`${url}/mcp`, { body: "initialize" });
      expect(opened.cookies).toHaveLength(1);
      const [pair, ...attributes] = (opened.cookies[0] as string).split("; ");
      expect(attributes.sort()).toEqual(["HttpOnly", "Path=/mcp", "SameSite=Strict", "Secure"]);
      for (let asked = 0; asked < 6; asked += 1) {
        const again = await ask(`${url}/mcp/`, { headers: { cookie: pair as string }, body: "initialize" });
        expect(again).toMatchObject({ cookies: [], seen: { node: opened.seen.node } });
      }
    });

    test("the session id beats a cookie that says otherwise", async () => {
      const backends = await nodes();
      const url = await edge(backends);
      const cookie = (await ask(`${url}/mcp`, { body: "initialize" })).cookies[0]?.split(";")[0] as string;
      for (const { node } of backends) {
        const reply = await ask(`${url}/mcp`, { session: sessionOf(node.tag), headers: { cookie } });
        expect(reply).toMatchObject({ cookies: [], seen: { node: node.name } });
      }
    });

    test("spreads new sessions and the app over all nodes, and gives the app no cookie", async () => {
      const url = await edge(await nodes());
      const all = ["node-1", "node-2", "node-3"];
      expect(await whoAnswers(9, `${url}/mcp`, { body: "initialize" })).toEqual(all);
      expect(await whoAnswers(9, `${url}/mcp`, { session: sessionOf("zzzzzz") })).toEqual(all);
      for (const path of ["/graphql", "/mcpfoo", "/"]) {
        expect(await whoAnswers(9, `${url}${path}`)).toEqual(all);
        expect((await ask(`${url}${path}`, { body: "initialize" })).cookies).toEqual([]);
      }
    });

    test("a node that drains keeps its sessions and gets no others; one that is down gets nothing", async () => {
      const backends = await nodes();
      const url = await edge(backends, (node) => {
        if (node.name === "node-1") return { ...node, state: "draining" };
        return node.name === "node-2" ? { ...node, state: "down" } : node;
      });
      expect(await whoAnswers(6, `${url}/mcp`, { session: sessionOf(backends[0].node.tag) })).toEqual(["node-1"]);
      expect(await whoAnswers(6, `${url}/mcp`, { session: sessionOf(backends[1].node.tag) })).toEqual(["node-3"]);
      expect(await whoAnswers(6, `${url}/mcp`)).toEqual(["node-3"]);
      expect(await whoAnswers(6, `${url}/graphql`)).toEqual(["node-3"]);
    });

    test("the tag of a node that is gone leads to its heir", async () => {
      const backends = await nodes();
      const gone = tagOf("a node that is gone");
      const url = await edge(backends, (node) => (node.name === "node-2" ? { ...node, inherits: [gone] } : node));
      expect(await whoAnswers(6, `${url}/mcp`, { session: sessionOf(gone) })).toEqual(["node-2"]);
    });

    test("a request whose node refuses connections is served by another one, whole", async () => {
      const backends = await nodes();
      const url = await edge(backends);
      await backends[0].stop();
      const body = "x".repeat(300_000);
      for (let asked = 0; asked < 10; asked += 1) {
        for (const path of ["/mcp", "/graphql"]) {
          const session = path === "/mcp" ? { session: sessionOf(backends[0].node.tag) } : {};
          const reply = await ask(`${url}${path}`, { ...session, body });
          expect(reply.status).toBe(200);
          expect(reply.seen.node).not.toBe("node-1");
          expect(reply.seen.body).toBe(body);
        }
      }
    });

    test("a request that a node may have read is never sent again", async () => {
      const backends = await nodes((incoming) => void incoming.socket.destroy());
      const url = await edge(backends);
      const session = sessionOf(backends[0].node.tag);
      for (const asking of [{ session, body: "call of a session" }, { body: "initialize" }]) {
        expect((await ask(`${url}/mcp`, asking)).status).toBe(502);
        const arrived = backends.flatMap(({ seen }) => seen).filter(({ body }) => body === asking.body);
        expect(arrived).toHaveLength(1);
      }
    });

    test("a stream's events come one by one, at once, and its end reaches the node", async () => {
      const paced = pacedStream();
      const backends = await nodes(paced.answer);
      const url = await edge(backends);
      const headers = { "mcp-session-id": sessionOf(backends[0].node.tag), "accept-encoding": "gzip" };
      const dispatcher = new Agent();
      const stream = await request(`${url}/mcp`, { dispatcher, headers });
      const chunks = stream.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      for (const wanted of [1, 2, 3]) {
        expect(String((await chunks.next()).value)).toBe(`data: ${wanted}\n\n`);
        await ask(`${url}/mcp/next`, { session: headers["mcp-session-id"], body: "next" });
      }
      expect(paced.open()).toBe(1);
      await dispatcher.destroy();
      await eventually("the node sees the end", () => paced.open() === 0, 3_000);
    });

    test("nobody outside can claim what only the edge and the nodes say", async () => {
      const url = await edge(await nodes());
      const forged = {
        ...Object.fromEntries(ownHeaders.map((each) => [each, "1"])),
        "X-Forwarded-Host": "evil.example",
      };
      for (const path of ["/mcp", "/mcp/below", "/graphql"]) {
        const { seen } = await ask(`${url}${path}`, { headers: { ...forged, host: "travel.example" } });
        expect(Object.keys(seen.headers).filter((each) => each.startsWith("mooring"))).toEqual([]);
        expect(seen.headers.host).toBe("travel.example");
        expect(seen.headers["x-forwarded-host"]).toBe("travel.example");
      }
    });

    test("a large body is the node's to judge, and what health checks ask is not published", async () => {
      const url = await edge(await nodes());
      expect((await ask(`${url}/mcp`, { body: "x".repeat(5_000_000) })).status).toBe(200);
      expect((await ask(`${url}/livez`)).status).toBe(404);
    });

    test.each<[string, readonly Affinity[], boolean, number]>([
      ["session id alone", ["session-id"], false, 1],
      ["cookie alone", ["cookie"], true, 3],
    ])("affinity by %s", async (_what, affinity, cookie, nodesPerSession) => {
      const backends = await nodes();
      const url = await edge(backends, undefined, affinity);
      expect((await ask(`${url}/mcp`, { body: "initialize" })).cookies.length > 0).toBe(cookie);
      const session = sessionOf(backends[0].node.tag);
      expect(await whoAnswers(9, `${url}/mcp`, { session })).toHaveLength(nodesPerSession);
    });

    test("without any node it answers 503, which no client takes for a lost session", async () => {
      const url = await edge([]);
      for (const path of ["/mcp", "/graphql"]) expect((await ask(`${url}${path}`, { body: "{}" })).status).toBe(503);
      const [only] = await nodes();
      const draining = await edge([only], (node) => ({ ...node, state: "draining" }));
      expect((await ask(`${draining}/mcp`, { body: "{}" })).status).toBe(503);
      expect(await whoAnswers(2, `${draining}/mcp`, { session: sessionOf(only.node.tag) })).toEqual(["node-1"]);
    });
  });
}
