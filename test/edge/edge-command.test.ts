import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { renderTraefik, type TraefikOptions } from "../../src/edge/traefik.ts";
import { traefikPaths, writeTraefik } from "../../src/edge/traefik-files.ts";
import { createNode, defineServer } from "../../src/index.ts";
import { silentLog } from "../../src/ports/log.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { RedisRegistry } from "../../src/registry/redis/redis-registry.ts";
import { MooringProcess, runMooring } from "../cluster/mooring-process.ts";
import { freePort } from "../support/free-port.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { type Backend, startBackends } from "./backends.ts";
import { ask, sessionOf } from "./clients.ts";
import { eventually } from "./eventually.ts";
import { runTraefik } from "./real-traefik.ts";

const ending: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

const leaseMs = 60_000;

function record({ node }: Backend, state: NodeRecord["state"] = "up"): NodeRecord {
  const { name, tag, url } = node;
  return { name, tag, incarnation: `life of ${name}`, url, state, pid: 1, since: 1 };
}

/** A Redis, and backends that are noted there as nodes. */
async function cluster(): Promise<{ valkey: Valkey; registry: RedisRegistry; backends: Backend[] }> {
  const valkey = await startValkey();
  ending.push(() => valkey.stop());
  const registry = new RedisRegistry({ url: valkey.url, namespace: "", log: silentLog });
  await registry.start();
  ending.push(() => registry.stop());
  const backends = await startBackends("node-1", "node-2", "node-3");
  ending.push(() => Promise.all(backends.map((backend) => backend.stop())));
  for (const backend of backends) await registry.join(record(backend), leaseMs);
  return { valkey, registry, backends };
}

async function mooringEdge(...args: string[]): Promise<{ edge: MooringProcess; ready: { feed: string | null } }> {
  const edge = new MooringProcess(["edge", "--json", ...args]);
  ending.push(async () => {
    if (edge.running) edge.signal("SIGKILL");
    await edge.exit(5_000);
  });
  await eventually("mooring edge is ready", () => {
    if (!edge.running) throw new Error(edge.told());
    return edge.stdout.includes("\n");
  });
  return { edge, ready: JSON.parse(edge.stdout) as { feed: string | null } };
}

/** A Traefik that has everything but the view. */
async function traefikWithoutView(feed?: string): Promise<{ http: string; api: string; view: string; log(): string }> {
  const folder = await mkdtemp(join(tmpdir(), "mooring-edge-"));
  ending.push(() => rm(folder, { recursive: true, force: true }));
  const [web, api] = [await freePort(), await freePort()];
  const options: TraefikOptions = {
    web: `127.0.0.1:${web}`,
    api: `127.0.0.1:${api}`,
    directory: traefikPaths(folder).directory,
    affinity: ["session-id", "cookie"],
    feed,
    acceptSeconds: 0,
    finishSeconds: 1,
  };
  const paths = await writeTraefik(folder, renderTraefik({ nodes: [] }, options));
  await rm(paths.view);
  const traefik = await runTraefik(paths.static);
  ending.push(() => traefik.stop());
  return { http: `http://127.0.0.1:${web}`, api: `http://127.0.0.1:${api}`, view: paths.view, log: traefik.log };
}

async function reaches(http: string, backends: readonly Backend[]): Promise<boolean> {
  for (const { node } of backends) {
    if ((await ask(`${http}/mcp`, { session: sessionOf(node.tag) })).seen.node !== node.name) return false;
  }
  return true;
}

async function newSessionsGoTo(http: string): Promise<string> {
  const names = new Set<string>();
  for (let asked = 0; asked < 9; asked += 1) names.add((await ask(`${http}/mcp`, { body: "initialize" })).seen.node);
  return [...names].sort().join();
}

describe("mooring edge --file", () => {
  test("keeps a Traefik up to date from beside it, and a Redis that is away or empty changes nothing", async () => {
    const { valkey, registry, backends } = await cluster();
    const traefik = await traefikWithoutView();
    const { edge } = await mooringEdge(
      ...["--file", traefik.view, "--redis", valkey.url, "--traefik-api", traefik.api, "--entrypoint", "web"],
    );
    await eventually("each session reaches its node", () => reaches(traefik.http, backends));
    const published = () => edge.logs().filter(({ event }) => event === "edge-published");
    await eventually("it has read the routers back", () => published().length === 1);

    const [first, ...others] = backends as [Backend, ...Backend[]];
    const since = performance.now();
    await registry.join(record(first, "draining"), leaseMs);
    await eventually("the node is out of the pool", async () => {
      return (await newSessionsGoTo(traefik.http)) === others.map(({ name }) => name).join();
    });
    expect(performance.now() - since).toBeLessThan(1_000);
    expect(await reaches(traefik.http, backends)).toBe(true);
    await eventually("that is read back too", () => published().length === 2);
    await registry.join(record(first), leaseMs);
    await eventually("it is back in it", async () => (await newSessionsGoTo(traefik.http)).includes(first.name));
    await eventually("and that", () => published().length === 3);

    const whole = await readFile(traefik.view, "utf8");
    await valkey.kill();
    await eventually("it notices", () => edge.logs().some(({ event }) => event === "registry-down"));
    expect(await reaches(traefik.http, backends)).toBe(true);
    const empty = await startValkey({ port: valkey.port });
    ending.push(() => empty.stop());
    await eventually("it notices that too", () => edge.logs().some(({ event }) => event === "registry-up"));
    expect(await reaches(traefik.http, backends)).toBe(true);
    expect(await readFile(traefik.view, "utf8")).toBe(whole);

    for (const backend of [...others, first]) {
      await eventually("a node joins again", async () => {
        return (await registry.join(record(backend), leaseMs)).kind === "joined";
      });
    }
    expect(await reaches(traefik.http, backends)).toBe(true);
    expect(edge.logs().filter(({ event }) => event === "edge-refused")).toEqual([]);
    expect(traefik.log()).toBe("");
    edge.signal("SIGTERM");
    expect(await edge.exit(5_000)).toBe(0);
    expect(await readFile(traefik.view, "utf8")).toBe(whole);
  });

  test("says when Traefik does not do what the file says", async () => {
    const { valkey } = await cluster();
    const traefik = await traefikWithoutView();
    const elsewhere = join(await mkdtemp(join(tmpdir(), "mooring-edge-")), "dynamic", "view.yml");
    ending.push(() => rm(join(elsewhere, "..", ".."), { recursive: true, force: true }));
    const { edge } = await mooringEdge(...["--file", elsewhere, "--redis", valkey.url, "--traefik-api", traefik.api]);
    const refused = () => edge.logs().find(({ event }) => event === "edge-refused");
    await eventually("it is told", () => refused() !== undefined);
    expect(refused()).toMatchObject({ level: "error", reason: expect.stringContaining("it has no router mcp") });
  });
});

describe("the feed for a Traefik that shares no folder", () => {
  test("mooring edge --listen serves it, whatever becomes of Redis", async () => {
    const { valkey, backends } = await cluster();
    const { edge, ready } = await mooringEdge("--listen", "127.0.0.1:0", "--redis", valkey.url);
    const traefik = await traefikWithoutView(ready.feed as string);
    await eventually("each session reaches its node", () => reaches(traefik.http, backends));
    await valkey.kill();
    await eventually("it notices", () => edge.logs().some(({ event }) => event === "registry-down"));
    const answer = await ask(ready.feed as string);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(`pin-${backends[0]?.node.tag}`);
    expect(await ask((ready.feed as string).replace("traefik", "other"))).toMatchObject({ status: 404 });
    expect(await ask(ready.feed as string, { headers: { host: "evil.example" } })).toMatchObject({ status: 403 });
  });

  test("each node's admin listener serves it too", async () => {
    const server = defineServer(() => {
      throw new Error("no session is opened here");
    });
    const node = await createNode({ server, name: "node-1", url: "http://127.0.0.1:3001" });
    ending.push(() => node.stop());
    const answer = await ask(`${node.admin}/edge/traefik`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text).http.routers).toHaveProperty(`pin-${node.tag}`);
    expect(JSON.parse(answer.text).http.services.app.loadBalancer.servers).toEqual([{ url: "http://127.0.0.1:3001" }]);
  });
});

describe("mooring edge", () => {
  test.each([
    [[], "no registry is named"],
    [["--redis", "redis://127.0.0.1:1"], "it is not said how Traefik gets the view"],
    [["--redis", "redis://127.0.0.1:1", "--file", "view.json"], "only files that end in .yml or .yaml"],
    [["--redis", "redis://127.0.0.1:1", "--file", "d/view.yml", "--gone-after", "1s"], "shorter than --lease"],
    [
      ["--redis", "redis://127.0.0.1:1", "--file", "d/view.yml", "--traefik-api", "x"],
      "Give an address without a path",
    ],
    [["--redis", "redis://127.0.0.1:1", "--file", "d/view.yml", "--affinity", "ip"], '"session-id" or "cookie"'],
  ])("%j is wrong usage: %s", async (args, problem) => {
    const { code, stdout, logs } = await runMooring(["edge", ...args], { environment: { MOORING_REDIS: "" } });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(logs.at(-1)).toMatchObject({ event: "command-failed", code: expect.stringMatching(/^(usage|settings)$/) });
    expect(String(logs.at(-1)?.message)).toContain(problem);
  });

  test("a file that can't be written and a Redis that isn't there each give one clear line", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-edge-"));
    ending.push(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, "dynamic", "view.yml");
    const unreachable = await runMooring(["edge", "--file", file, "--redis", `redis://127.0.0.1:${await freePort()}`]);
    expect(unreachable).toMatchObject({ code: 1, logs: [{ event: "command-failed", code: "registry-unavailable" }] });
    const inTheWay = join(file, "view.yml");
    const { valkey } = await cluster();
    const { edge } = await mooringEdge("--file", file, "--redis", valkey.url);
    await eventually("the file is there", async () => (await readFile(file, "utf8")).length > 0);
    const refused = await runMooring(["edge", "--file", inTheWay, "--redis", valkey.url]);
    expect(refused).toMatchObject({ code: 1, logs: [{ event: "command-failed", code: "edge-file" }] });
    expect(edge.running).toBe(true);
  });
});
