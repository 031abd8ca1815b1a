import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EdgeFeed } from "../../src/edge/feed.ts";
import { Publisher, type PublisherParts } from "../../src/edge/publisher.ts";
import { readBack } from "../../src/edge/read-back.ts";
import { fileText, WatchedFile } from "../../src/edge/traefik-files.ts";
import { renderTraefikView } from "../../src/edge/traefik-view.ts";
import type { ClusterView } from "../../src/edge/view.ts";
import { tagOf } from "../../src/model/tag.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { eventually } from "./eventually.ts";

const view = (...names: string[]): ClusterView => ({
  nodes: names.map((name) => ({ name, tag: tagOf(name), url: `http://${name}:3000`, state: "up" })),
});
const render = (shown: ClusterView) => renderTraefikView(shown, { affinity: ["session-id", "cookie"] });
const textOf = (shown: ClusterView) => fileText(render(shown));

let folder: string;
let log: RecordedLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-publish-"));
  log = new RecordedLog();
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function publisher(file: WatchedFile, more: Partial<PublisherParts> = {}): Publisher {
  return new Publisher({
    render,
    deliver: (text) => file.write(text),
    delivered: (text) => file.says(text),
    takeUpMs: 200,
    log,
    ...more,
  });
}

describe("a view that is published to a file", () => {
  test("makes the folder, and says who is in the pool, once", async () => {
    const file = new WatchedFile(join(folder, "dynamic", "view.yml"));
    const edge = publisher(file);
    for (let times = 0; times < 3; times += 1) await edge.publish(view("a", "b"));
    expect(await readFile(file.path, "utf8")).toBe(textOf(view("a", "b")));
    expect(await readdir(join(folder, "dynamic"))).toEqual(["view.yml"]);
    expect(log.of("edge-published")).toEqual([{ up: ["a", "b"], draining: [], down: [] }]);
  });

  test("is put back when somebody empties or removes it", async () => {
    const file = new WatchedFile(join(folder, "dynamic", "view.yml"));
    const edge = publisher(file);
    await edge.publish(view("a"));
    await writeFile(file.path, "");
    await edge.publish(view("a"));
    expect(await file.says(textOf(view("a")))).toBe(true);
    await rm(join(folder, "dynamic"), { recursive: true });
    await edge.publish(view("a"));
    expect(await file.says(textOf(view("a")))).toBe(true);
  });

  test("is refused with the reason, once, when it can't be written, and written when it can", async () => {
    await writeFile(join(folder, "in-the-way"), "");
    const file = new WatchedFile(join(folder, "in-the-way", "view.yml"));
    const edge = publisher(file);
    for (let times = 0; times < 3; times += 1) await edge.publish(view("a"));
    expect(log.of("edge-refused")).toEqual([
      expect.objectContaining({ reason: expect.stringMatching(/^not written: /) }),
    ]);
    await rm(join(folder, "in-the-way"));
    await edge.publish(view("a"));
    expect(log.of("edge-published")).toHaveLength(1);
  });

  test("that Traefik would drop routes of never leaves: what was there stays", async () => {
    const file = new WatchedFile(join(folder, "dynamic", "view.yml"));
    let broken = false;
    const edge = publisher(file, { render: (shown) => (broken ? {} : render(shown)) });
    await edge.publish(view("a"));
    broken = true;
    await edge.publish(view("b"));
    expect(await file.says(textOf(view("a")))).toBe(true);
    expect(log.of("edge-refused")).toEqual([
      expect.objectContaining({ reason: "not written: the view has no router mcp" }),
    ]);
  });

  test("that Traefik does not take up is refused by name, and confirmed when it does after all", async () => {
    const file = new WatchedFile(join(folder, "dynamic", "view.yml"));
    let difference: string | undefined = "it has no router pin-x";
    const edge = publisher(file, { difference: async () => difference });
    await edge.publish(view("a"));
    await edge.publish(view("a"));
    expect(log.of("edge-refused")).toEqual([expect.objectContaining({ reason: "it has no router pin-x" })]);
    difference = undefined;
    await edge.publish(view("a"));
    expect(log.of("edge-published")).toHaveLength(1);
  });

  test("is left out when a newer one overtakes it", async () => {
    const file = new WatchedFile(join(folder, "dynamic", "view.yml"));
    const edge = publisher(file, {
      difference: async (shown) => (fileText(shown) === textOf(view("c")) ? undefined : "not yet"),
      takeUpMs: 10_000,
    });
    const all = Promise.all([view("a"), view("b"), view("c")].map((shown) => edge.publish(shown)));
    await all;
    expect(await file.says(textOf(view("c")))).toBe(true);
    expect(log.of("edge-published")).toEqual([expect.objectContaining({ up: ["c"] })]);
    expect(log.of("edge-refused")).toEqual([]);
  });
});

describe("the watched file", () => {
  test("is written also where no draft can stand outside its folder", async () => {
    const file = new WatchedFile(join(folder, "dynamic", "view.yml"), join(folder, "not", "there"));
    await file.write("whole\n");
    expect(await file.says("whole\n")).toBe(true);
    expect(await readdir(join(folder, "dynamic"))).toEqual(["view.yml"]);
  });

  test("says at once that it can't be written", async () => {
    await writeFile(join(folder, "in-the-way"), "");
    await expect(new WatchedFile(join(folder, "in-the-way", "view.yml")).prepare()).rejects.toThrow(/EEXIST|ENOTDIR/);
    const file = new WatchedFile(join(folder, "new", "view.yml"));
    await file.prepare();
    await access(join(folder, "new"));
    expect(await readdir(join(folder, "new"))).toEqual([]);
  });
});

describe("the feed", () => {
  test("lets a question wait for the first view", async () => {
    const feed = new EdgeFeed();
    const asked = feed.answer(10_000);
    feed.show("first");
    expect(await asked).toEqual({ status: 200, contentType: "application/json", body: "first" });
  });

  test("answers 503, and nothing that Traefik could take for a view, when none comes", async () => {
    const feed = new EdgeFeed();
    const answer = await feed.answer(1);
    expect(answer.status).toBe(503);
    expect(answer.body).not.toContain("{");
    feed.show("later");
    await eventually("the view is told", async () => (await feed.answer(1)).body === "later");
  });
});

test("routers that stand at other entry points than those of a view have not taken it up", async () => {
  const shown = renderTraefikView(view("a"), { affinity: ["session-id"], entryPoints: ["web", "other"] });
  const { routers, services } = (shown as { http: Record<"routers" | "services", Record<string, object>> }).http;
  const told = (kind: "routers" | "services", more: object) =>
    Object.entries(kind === "routers" ? routers : services).map(([name, item]) => ({
      ...{ ...item, name: `${name}@file`, provider: "file", status: "enabled" },
      ...more,
    }));
  let entryPoints = ["web"];
  const api = createServer(({ url = "" }, response) =>
    response.end(JSON.stringify(url.includes("/routers") ? told("routers", { entryPoints }) : told("services", {}))),
  );
  await once(api.listen(0, "127.0.0.1"), "listening");
  const look = () => readBack(`http://127.0.0.1:${(api.address() as AddressInfo).port}`, "file", [shown]);
  expect(await look()).toMatch(/^router \S+ does not serve the entry point other$/);
  entryPoints = ["web", "other"];
  expect(await look()).toBeUndefined();
  api.close();
  api.closeAllConnections();
});
