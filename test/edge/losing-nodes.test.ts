import { request } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { type Backend, type Seen, startBackend, startBackends } from "./backends.ts";
import { eventually } from "./eventually.ts";
import { type RealTraefik, startTraefik } from "./real-traefik.ts";

const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

async function cluster(backends: readonly Backend[]): Promise<RealTraefik> {
  const edge = await startTraefik({ nodes: backends.map((backend) => backend.node) });
  running.push(...backends, edge);
  return edge;
}

const urls = (backends: readonly Backend[]): string[] => backends.map((backend) => backend.node.url);

/** The first check of a server is made at once: afterwards what is lost is lost between two checks. */
async function untilChecked(edge: RealTraefik, backends: readonly Backend[]): Promise<void> {
  await eventually("every node is up", async () => {
    const status = await edge.serverStatus("app@file");
    return urls(backends).every((url) => status[url] === "UP");
  });
}

describe("a node that is lost", () => {
  test("takes no GraphQL request with it: what could not be delivered goes to another node", async () => {
    const backends = await startBackends("node-1", "node-2", "node-3");
    const edge = await cluster(backends);
    await untilChecked(edge, backends);
    await backends[1]?.stop();
    for (let asked = 0; asked < 30; asked += 1) {
      const answer = await request(`${edge.http}/graphql`, { method: "POST", body: `{"n":${asked}}` });
      expect(answer.statusCode).toBe(200);
      expect(((await answer.body.json()) as Seen).body).toBe(`{"n":${asked}}`);
    }
  });

  test("frees the clients that its cookie held: soon they get another node, and a new cookie", async () => {
    const backends = await startBackends("node-1", "node-2", "node-3");
    const edge = await cluster(backends);
    const first = await request(`${edge.http}/mcp`);
    const { node } = (await first.body.json()) as Seen;
    const cookie = String(first.headers["set-cookie"]).split(";")[0] as string;
    await backends.find((backend) => backend.name === node)?.stop();
    await eventually(
      "another node answers",
      async () => {
        const next = await request(`${edge.http}/mcp`, { headers: { cookie } });
        const body = await next.body.text();
        return next.statusCode === 200 && !body.includes(node) && next.headers["set-cookie"] !== undefined;
      },
      3_000,
    );
  });

  test("never makes the edge send a request twice that it may have read", async () => {
    const hangUp = (name: string) => startBackend(name, (incoming) => void incoming.socket.destroy());
    const backends = [await hangUp("node-1"), await hangUp("node-2")];
    const edge = await cluster(backends);
    for (const path of ["/mcp", "/graphql"]) {
      const answer = await request(`${edge.http}${path}`, { method: "POST", body: `for ${path}` });
      await answer.body.dump();
      expect(answer.statusCode).toBe(502);
      const arrived = backends.flatMap((backend) => backend.seen).filter((seen) => seen.url === path);
      expect(arrived.map((seen) => seen.body)).toEqual([`for ${path}`]);
    }
  });
});

describe("a cluster without any node", () => {
  test.each(["/mcp", "/graphql", "/"])("answers 503 on %s, which no client takes for a lost session", async (path) => {
    const edge = await cluster([]);
    const answer = await request(`${edge.http}${path}`, { method: "POST", body: "{}" });
    await answer.body.dump();
    expect(answer.statusCode).toBe(503);
    expect(edge.log()).toBe("");
  });

  test("serves as soon as a node is in the view", async () => {
    const [backend] = await startBackends("node-1");
    if (backend === undefined) throw new Error("no backend");
    const edge = await cluster([]);
    running.unshift(backend);
    await edge.show({ nodes: [backend.node] });
    const answer = await request(`${edge.http}/mcp`);
    await answer.body.dump();
    expect(answer.statusCode).toBe(200);
  });
});

describe("a node that drains", () => {
  test("gets no new client", async () => {
    const backends = await startBackends("node-1", "node-2");
    const edge = await cluster(backends);
    await edge.show({
      nodes: backends.map(({ node }) => ({ ...node, state: node.name === "node-1" ? "draining" : "up" })),
    });
    for (const path of ["/mcp", "/graphql", "/mcp", "/graphql"]) {
      const answer = await request(`${edge.http}${path}`);
      expect(((await answer.body.json()) as Seen).node).toBe("node-2");
    }
  });
});
