import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { renderTraefik, type TraefikOptions } from "../../src/edge/traefik.ts";
import { writeTraefik, writeTraefikView } from "../../src/edge/traefik-files.ts";
import type { ClusterView, EdgeNode } from "../../src/edge/view.ts";
import { tagOf } from "../../src/model/tag.ts";

const options: TraefikOptions = {
  web: ":8080",
  websecure: ":8443",
  api: "127.0.0.1:8081",
  directory: "/etc/traefik/dynamic",
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
  ])("%s", async (file, view) => {
    await expectGolden(renderTraefik(view, options).view, file);
  });

  test("what Traefik reads at its start", async () => {
    await expectGolden(renderTraefik({ nodes: [] }, options).static, "static-http-and-https");
    const plain = { web: ":80", api: "127.0.0.1:8081", directory: "/d", acceptSeconds: 0, finishSeconds: 600 };
    await expectGolden(renderTraefik({ nodes: [] }, plain).static, "static-http-only");
  });

  test("what is the same for every view", async () => {
    await expectGolden(renderTraefik({ nodes: [] }, options).base, "base-with-certificate");
    expect(renderTraefik({ nodes: [node(1)] }, options).base).toEqual(renderTraefik({ nodes: [] }, options).base);
  });

  test("the order in which nodes are told of does not matter", () => {
    const one = renderTraefik({ nodes: [node(1), node(2), node(3)] }, options);
    expect(renderTraefik({ nodes: [node(3), node(1), node(2)] }, options)).toEqual(one);
  });

  test("an edge without an address is refused", () => {
    expect(() => renderTraefik({ nodes: [] }, { api: ":1", directory: "/d" })).toThrow(/Give one of them/);
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
    await Promise.all(
      [three, none, three, none].map(({ view }) => writeTraefikView(join(folder ?? "", "not-there-yet"), view)),
    );
    await writeTraefikView(join(folder, "not-there-yet"), none.view);
    expect(JSON.parse(await readFile(join(paths.directory, "view.yml"), "utf8"))).toEqual(none.view);
    expect((await readdir(join(folder, "not-there-yet"))).sort()).toEqual(["dynamic", "traefik.yml"]);
  });
});
