import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { createNode, type ServerDefinition } from "mooring";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import server from "../../examples/counter/server.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { RawClient, type RawMessage } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";
import { startValkey } from "../support/valkey.ts";
import cart from "./samples/cart.ts";
import cart2 from "./samples/cart-2.ts";
import newsServer, { news } from "./samples/news.ts";
import notes from "./samples/notes.ts";
import report from "./samples/report.ts";
import shell from "./samples/shell.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file: string) => readFileSync(`${root}${file}`, "utf8");
const unindented = (code: string) => code.replace(/^ +/gm, "");

/** What is run here, and checked with all other code. */
const run = [
  "examples/counter/server.ts",
  "test/docs/samples.test.ts",
  ...readdirSync(`${root}test/docs/samples`).map((name) => `test/docs/samples/${name}`),
].map((file) => unindented(read(file)));

test.each(["README.md", "docs/sessions.md"])("each sample of %s stands word for word in what is run here", (file) => {
  const samples = [...read(file).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
  expect(samples).not.toEqual([]);
  expect(samples.filter((code) => !run.some((text) => text.includes(unindented(code))))).toEqual([]);
});

test("a node in an app serves the first example", { timeout: 30_000 }, async () => {
  const valkey = await startValkey();
  const redis = valkey.url;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const node = await createNode({ server, name: "node-1", url, redis });
  const http = createServer((request, response) => node.handle(request, response)).listen(port);
  await once(http, "listening");
  const client = await RawClient.begin(url);
  expect(textOf(await client.call("count"))).toBe("1");
  expect(textOf(await client.call("count"))).toBe("2");
  await node.stop();
  http.close();
  await valkey.stop();
});

describe("on two nodes", () => {
  let shared: MemoryStore;
  let nodes: Serving[];
  beforeEach(() => {
    shared = new MemoryStore();
    nodes = [];
  });
  afterEach(() => Promise.all(nodes.map((node) => node.stop({ handOver: false }))));

  async function start(name: string, definition: ServerDefinition) {
    const registry = new MemoryRegistry({ store: shared });
    const node = await serve(definition, { name, registry, lease: 2_000, renew: 200 });
    nodes.push(node);
    return node;
  }

  /** A node that is gone, and has handed nothing over. */
  async function die(node: Serving) {
    nodes.splice(nodes.indexOf(node), 1);
    await node.stop({ handOver: false });
  }

  test("a cart outlives its node", async () => {
    const [a, b] = [await start("a", cart), await start("b", cart)];
    const client = await RawClient.begin(a.url);
    await client.call("add", { product: "apples" });
    await die(a);
    const there = client.at(b.url);
    expect(textOf(await there.call("show"))).toBe("In the cart: apples");
    expect(textOf(await there.call("add", { product: "pears" }))).toBe("In the cart: apples, pears");
    expect(textOf(await there.call("empty"))).toBe("The cart is empty");
    expect(textOf(await there.call("show"))).toBe("In the cart: ");
  });

  test("the next version of the shop migrates it", async () => {
    const [a, b] = [await start("a", cart), await start("b", cart2)];
    const client = await RawClient.begin(a.url);
    await client.call("add", { product: "apples" });
    await a.node.drain();
    expect(textOf(await client.at(b.url).call("show"))).toBe("In the cart: 1 × apples");
  });

  test("a report goes on being written, and each page is told once", async () => {
    const [a, b] = [await start("a", report), await start("b", report)];
    const client = await RawClient.begin(a.url);
    const stream = await client.listen();
    await client.call("write_report");
    await stream.received(5);
    await die(a);
    await stream.ended();
    const rest = await client.at(b.url).listen(stream.lastEventId);
    const pages = await eventually(() => {
      const told = [...stream.messages, ...rest.messages].map(({ params }) => params?.data);
      expect(told.at(-1)).toEqual({ page: 20 });
      return told;
    });
    expect(pages).toEqual(Array.from({ length: 20 }, (_, index) => ({ page: index + 1 })));
  });

  test("news are heard on, and the client is told of the gap", async () => {
    const [a, b] = [await start("a", newsServer), await start("b", newsServer)];
    const client = await RawClient.begin(a.url);
    const stream = await client.listen();
    await eventually(() => expect(news.listenerCount("text")).toBe(1));
    news.emit("text", "one");
    await stream.received(1);
    await a.node.drain();
    const rest = await client.at(b.url).listen(stream.lastEventId);
    await rest.received(1);
    await eventually(() => expect(news.listenerCount("text")).toBe(1));
    news.emit("text", "two");
    await rest.received(2);
    const told = [...stream.messages, ...rest.messages].map(({ params }) => params?.data);
    expect(told).toEqual(["one", "You may have missed something", "two"]);
  });

  test("a shell ends with its node, and its session with it", async () => {
    const [a, b] = [await start("a", shell), await start("b", shell)];
    const client = await RawClient.begin(a.url);
    const pid = Number(textOf(await client.call("open_shell")));
    expect(process.kill(pid, 0)).toBe(true);
    await die(a);
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
    const answer = await (await client.at(b.url).startCall("open_shell")).ended();
    expect(answer.status).toBe(404);
    expect(answer.message?.error?.data).toEqual({ reason: "owner-gone", next: "initialize" });
  });

  test("notes are their author's only, also after a move", async () => {
    const [a, b] = [await start("a", notes), await start("b", notes)];
    const as = (authorization: string) => ({ headers: { authorization } });
    const ada = await RawClient.begin(a.url, as("Bearer 9f2c"));
    expect(textOf(await ada.call("whoami"))).toBe("ada");
    await a.node.drain();
    expect(textOf(await ada.at(b.url).call("whoami"))).toBe("ada");
    const asBen = await (await ada.at(b.url).post(ping, { authorization: "Bearer 71d0" })).ended();
    expect(asBen.status).toBe(404);
    expect(asBen.message).toMatchObject({ id: null, error: { data: { reason: "unknown", next: "initialize" } } });
    const asNobody = await (await ada.at(b.url).post(ping, { authorization: "Bearer 0000" })).ended();
    expect(asNobody.status).toBe(401);
  });
});

const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

function textOf(message: RawMessage | undefined): string | undefined {
  return (message?.result?.content as { readonly text: string }[] | undefined)?.[0]?.text;
}
