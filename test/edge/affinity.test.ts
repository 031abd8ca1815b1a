import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Backend, type Seen, startBackends } from "./backends.ts";
import { type RealTraefik, startTraefik } from "./real-traefik.ts";

let backends: Backend[];
let edge: RealTraefik;

beforeAll(async () => {
  backends = await startBackends("node-1", "node-2", "node-3");
  edge = await startTraefik({ nodes: backends.map((backend) => backend.node) });
});

afterAll(async () => {
  await edge?.stop();
  await Promise.all((backends ?? []).map((backend) => backend.stop()));
});

interface Reply {
  readonly status: number;
  readonly cookies: readonly string[];
  readonly seen: Seen;
}

async function ask(path: string, headers: Record<string, string> = {}): Promise<Reply> {
  const answer = await request(`${edge.http}${path}`, { headers });
  const lines = answer.headers["set-cookie"] ?? [];
  const body = await answer.body.text();
  return {
    status: answer.statusCode,
    cookies: Array.isArray(lines) ? lines : [lines],
    seen: body.startsWith("{") ? (JSON.parse(body) as Seen) : ({ body } as Seen),
  };
}

async function nodesAsked(times: number, path: string, headers: Record<string, string> = {}): Promise<string[]> {
  const nodes: string[] = [];
  for (let asked = 0; asked < times; asked += 1) nodes.push((await ask(path, headers)).seen.node);
  return nodes;
}

function count(nodes: readonly string[]): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const node of nodes) counted[node] = (counted[node] ?? 0) + 1;
  return counted;
}

describe("real Traefik takes the configuration", () => {
  test("without a warning or an error, and with every router enabled", async () => {
    const routers = (await edge.routers()).filter((router) => router.provider === "file");
    const wanted = ["web", "websecure"].flatMap((entryPoint) => [
      { name: `${entryPoint}-default@file`, status: "enabled", priority: 10, service: "app" },
      { name: `${entryPoint}-mcp@file`, status: "enabled", priority: 1000, service: "mcp" },
      { name: `${entryPoint}-none@file`, status: "enabled", priority: 1, service: "none" },
      ...backends.map(({ node: { tag } }) => ({
        name: `${entryPoint}-pin-${tag}@file`,
        status: "enabled",
        priority: 2000,
        service: `pin-${tag}`,
      })),
    ]);
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    const told = routers.map(({ name, status, priority, service }) => ({ name, status, priority, service }));
    expect(told.sort(byName)).toEqual(wanted.sort(byName));
    await ask("/mcp");
    await ask("/graphql");
    expect(edge.log()).toBe("");
  });
});

describe("a client that keeps cookies stays at one node for /mcp", () => {
  test("the cookie is, byte for byte, the one of the record", async () => {
    const { cookies } = await ask("/mcp");
    expect(cookies).toEqual([
      expect.stringMatching(/^_mcp_backend=[0-9a-f]{16}; Path=\/mcp; HttpOnly; Secure; SameSite=Strict$/),
    ]);
  });

  test.each(["/mcp", "/mcp/", "/mcp?a=b", "/mcp/below"])("%s is sticky", async (path) => {
    const first = await ask(path);
    expect(first.cookies).toHaveLength(1);
    const cookie = first.cookies[0]?.split(";")[0] as string;
    for (let again = 0; again < 6; again += 1) {
      const next = await ask(path, { cookie });
      expect(next.seen.node).toBe(first.seen.node);
      expect(next.cookies).toEqual([]);
    }
  });

  test("new clients spread over all nodes", async () => {
    expect(count(await nodesAsked(9, "/mcp"))).toEqual({ "node-1": 3, "node-2": 3, "node-3": 3 });
  });

  test("a cookie that no node knows is replaced", async () => {
    const { status, cookies } = await ask("/mcp", { cookie: "_mcp_backend=0123456789abcdef" });
    expect(status).toBe(200);
    expect(cookies).toHaveLength(1);
  });
});

describe("all other traffic goes around", () => {
  test.each(["/graphql", "/mcpfoo", "/", "/mcp-tools", "/.well-known/oauth-protected-resource/mcp"])(
    "%s sets no cookie and round-robins, also for a client that holds the cookie",
    async (path) => {
      const cookie = (await ask("/mcp")).cookies[0]?.split(";")[0] as string;
      expect((await ask(path)).cookies).toEqual([]);
      expect((await ask(path, { cookie })).cookies).toEqual([]);
      expect(count(await nodesAsked(9, path, { cookie }))).toEqual({ "node-1": 3, "node-2": 3, "node-3": 3 });
    },
  );

  test.each(["/livez", "/%6Civez", "//livez", "/livez?verbose"])("%s is not published", async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404 });
  });
});

describe("what a node gets is what the client said", () => {
  test("a header that only looks like another one is taken out", async () => {
    const { seen } = await ask("/mcp", {
      mcp_session_id: "forged",
      "Mcp.Session.Id": "forged",
      "Mcp-Session-Id": "own",
    });
    expect(seen.headers["mcp-session-id"]).toBe("own");
    expect(JSON.stringify(seen.headers)).not.toContain("forged");
  });

  test("the client's Host arrives, and forwarded headers of its own do not", async () => {
    const { seen } = await ask("/mcp", { host: "travel.example", "x-forwarded-host": "elsewhere.example" });
    expect(seen.headers.host).toBe("travel.example");
    expect(seen.headers["x-forwarded-host"]).toBe("travel.example");
  });

  test("an encoded slash in a path stays as it is; an encoded null or backslash is refused", async () => {
    expect((await ask("/trips/a%2Fb")).seen.url).toBe("/trips/a%2Fb");
    expect((await ask("/trips/a%00b")).status).toBe(400);
    expect((await ask("/trips/a%5Cb")).status).toBe(400);
  });
});
