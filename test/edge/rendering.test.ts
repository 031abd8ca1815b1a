import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { renderHaproxy } from "../../src/edge/haproxy.ts";
import { renderNginx } from "../../src/edge/nginx.ts";
import { renderTraefik, type TraefikOptions } from "../../src/edge/traefik.ts";
import { fileText, WatchedFile, writeTraefik } from "../../src/edge/traefik-files.ts";
import type { ClusterView, EdgeNode } from "../../src/edge/view.ts";
import { viewProblem } from "../../src/edge/view-problem.ts";
import { tagOf } from "../../src/model/tag.ts";

const options: TraefikOptions = {
  web: ":8080",
  websecure: ":8443",
  api: "127.0.0.1:8081",
  directory: "/etc/traefik/dynamic",
  affinity: ["session-id", "cookie"],
  certificate: { certFile: "/etc/traefik/leaf.pem", keyFile: "/etc/traefik/leaf.key" },
};

function node(number: number, state: EdgeNode["state"] = "up"): EdgeNode {
  const name = `node-${number}`;
  return { name, tag: tagOf(name), url: `http://10.0.0.${number}:3000`, state };
}

async function expectGolden(value: unknown, file: string): Promise<void> {
  await expect(`${JSON.stringify(value, null, 2)}\n`).toMatchFileSnapshot(`golden/${file}.json`);
}

describe("the configuration is a pure function of the cluster's view", () => {
  test.each<[string, ClusterView]>([
    ["view-three-nodes", { nodes: [node(1), node(2), node(3)] }],
    ["view-one-draining-one-down", { nodes: [node(1), node(2, "draining"), node(3, "down")] }],
    ["view-no-node", { nodes: [] }],
    ["view-one-inherits", { nodes: [node(1), { ...node(2), inherits: [tagOf("node-7"), tagOf("node-8")] }] }],
    ["view-all-drain", { nodes: [node(1, "draining")] }],
  ])("%s", async (file, view) => {
    await expectGolden(renderTraefik(view, options).view, file);
  });

  test("what Traefik reads at its start", async () => {
    await expectGolden(renderTraefik({ nodes: [] }, options).static, "static-http-and-https");
    const plain = {
      web: ":80",
      api: "127.0.0.1:8081",
      directory: "/d",
      acceptSeconds: 0,
      finishSeconds: 600,
      affinity: [],
    };
    await expectGolden(renderTraefik({ nodes: [] }, plain).static, "static-http-only");
  });

  test("what is the same for every view", async () => {
    await expectGolden(renderTraefik({ nodes: [] }, options).base, "base-with-certificate");
    expect(renderTraefik({ nodes: [node(1)] }, options).base).toEqual(renderTraefik({ nodes: [] }, options).base);
  });

  test("affinity by session id alone sets no cookie; affinity by cookie alone pins by nothing else", () => {
    const view = { nodes: [node(1), node(2)] };
    const bySession = JSON.stringify(renderTraefik(view, { ...options, affinity: ["session-id"] }).view);
    expect(bySession).toContain("pin-");
    expect(bySession).not.toContain("_mcp_backend");
    const byCookie = JSON.stringify(renderTraefik(view, { ...options, affinity: ["cookie"] }).view);
    expect(byCookie).toContain("_mcp_backend");
    expect(byCookie).not.toMatch(/pin-|own-|fallback/);
  });

  test("fails over by health checks and never by the status of an answer", () => {
    const text = JSON.stringify(renderTraefik({ nodes: [node(1), node(2)] }, options).view);
    expect(text).toContain('"failover"');
    expect(text).not.toContain('"errors"');
  });

  test("the order in which nodes are told of does not matter", () => {
    const one = renderTraefik({ nodes: [node(1), node(2), node(3)] }, options);
    expect(renderTraefik({ nodes: [node(3), node(1), node(2)] }, options)).toEqual(one);
  });

  test("an edge without an address is refused", () => {
    expect(() => renderTraefik({ nodes: [] }, { ...options, web: undefined, websecure: undefined })).toThrow(
      /Give one of them/,
    );
  });
});

describe("the files that Traefik reads", () => {
  let folder: string | undefined;

  afterEach(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test("stand whole in their place, and nothing else stands there", async () => {
    folder = await mkdtemp(join(tmpdir(), "mooring-edge-"));
    const three = renderTraefik({ nodes: [node(1), node(2), node(3)] }, options);
    const paths = await writeTraefik(join(folder, "not-there-yet"), three);
    expect((await readdir(paths.directory)).sort()).toEqual(["base.yml", "view.yml"]);
    expect(JSON.parse(await readFile(paths.static, "utf8"))).toEqual(three.static);

    const none = renderTraefik({ nodes: [] }, options);
    const file = new WatchedFile(paths.view);
    await Promise.all([three, none, three, none].map(({ view }) => file.write(fileText(view))));
    await file.write(fileText(none.view));
    expect(JSON.parse(await readFile(join(paths.directory, "view.yml"), "utf8"))).toEqual(none.view);
    expect((await readdir(join(folder, "not-there-yet"))).sort()).toEqual(["dynamic", "traefik.yml"]);
  });
});

describe("a view that Traefik would not take whole is never written", () => {
  const whole = renderTraefik({ nodes: [node(1), node(2)] }, options).view as unknown as {
    http: { routers: Record<string, { service: string }>; services: Record<string, { loadBalancer?: object }> };
  };

  test("a rendered view has no problem", () => {
    expect(viewProblem(whole as never)).toBeUndefined();
  });

  test.each<[string, (view: typeof whole) => void, RegExp]>([
    ["nothing in it", (view) => Object.assign(view, { http: undefined }), /no router mcp/],
    ["no default router", (view) => delete view.http.routers.default, /no router default/],
    ["a service that is not there", (view) => delete view.http.services.app, /leads to app, which is not there/],
    [
      "an owner without a health check",
      (view) =>
        Object.assign(view.http.services[`own-${tagOf("node-1")}`]?.loadBalancer ?? {}, { healthCheck: undefined }),
      /fails over by health checks, and own-\w+ has none/,
    ],
    [
      "a server without an address",
      (view) => Object.assign(view.http.services.app?.loadBalancer ?? {}, { servers: [{ url: "10.0.0.1:3000" }] }),
      /which is no address/,
    ],
  ])("%s", (_what, spoil, problem) => {
    const view = structuredClone(whole);
    spoil(view);
    expect(viewProblem(view as never)).toMatch(problem);
  });
});

describe("HAProxy and nginx", () => {
  const renderers = [
    ["HAProxy", renderHaproxy],
    ["nginx", renderNginx],
  ] as const;

  test.each(renderers)("%s: the order in which nodes are told of does not matter", (_name, render) => {
    const by = { web: ":80", affinity: options.affinity };
    expect(render({ nodes: [node(3), node(1), node(2)] }, by)).toBe(render({ nodes: [node(1), node(2), node(3)] }, by));
  });

  test.each(renderers)("%s: a node's name stays in its comment, whatever it is", (_name, render) => {
    const named = { ...node(1), name: "x\nbackend evil\r\nserver { listen 1; }" };
    const text = render({ nodes: [named] }, { web: ":80", affinity: options.affinity });
    const lines = text.split(/[\r\n]/);
    expect(lines.filter((line) => /evil|listen 1/.test(line.split("#")[0] ?? ""))).toEqual([]);
  });

  test.each(renderers)("%s: nodes may serve HTTPS, on its usual port and at IPv6 addresses", (_name, render) => {
    const nodes = ["https://a.example", "https://[fd00::1]:3001"].map((url, index) => ({ ...node(index + 1), url }));
    const text = render({ nodes }, { web: ":80", affinity: options.affinity });
    expect(text).toContain("a.example:443");
    expect(text).toContain("[fd00::1]:3001");
    expect(text).toMatch(/ssl verify required|proxy_pass https:/);
  });
});
