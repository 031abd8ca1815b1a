import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MooringProcess, node, root } from "../cluster/mooring-process.ts";
import { eventually } from "../support/eventually.ts";

/** A server in a folder of its own, which knows Mooring only as the package "mooring". */
const greeter = (greeting: string) => `
import { defineServer } from "mooring";
const server = { connect: async () => {}, close: async () => {} };
export default defineServer(() => server, { app: ({ node }) => (_, response) => response.end(${JSON.stringify(greeting)} + " from " + node.name) });
`;

let folder: string;
let serving: MooringProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-serve-"));
});
afterEach(async () => {
  serving?.signal("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

async function serve(
  args: readonly string[],
  cwd = root,
): Promise<{ name: string; tag: string; pid: number; url: string; admin: string }> {
  const main = join(root, "src/cli/main.ts");
  // Changes the folder as a person would: the module is looked up from there.
  const command = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', cwd, node, main];
  const process = new MooringProcess(["serve", ...args, "--port", "0", "--json"], {}, command);
  serving = process;
  await eventually(() => expect(process.stdout, process.told()).toContain("\n"), 20_000);
  return JSON.parse(process.stdout);
}

test("serves a file that imports mooring, wherever it stands, and ends gracefully", async () => {
  const file = join(folder, "greeter.mjs");
  await writeFile(file, greeter("hello"));
  const ready = await serve([file, "--name", "one"]);
  expect(ready).toEqual({
    ...{ event: "ready", name: "one", tag: expect.stringMatching(/^[0-9a-z]{6}$/), pid: serving?.pid },
    ...{
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      admin: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    },
  });
  expect(await (await fetch(ready.url)).text()).toBe("hello from one");
  expect((await fetch(`${ready.admin}/readyz`)).status).toBe(200);
  serving?.signal("SIGTERM");
  expect(await serving?.exit(10_000)).toBe(0);
  expect(serving?.logs().map(({ event }) => event)).toEqual(
    expect.arrayContaining(["node-started", "node-stopping", "node-stopped"]),
  );
});

test("serves a TypeScript file, and a package of the folder that it runs in", async () => {
  await writeFile(join(folder, "greeter.ts"), `const typed: string = "typed";\n${greeter("typed")}`);
  const fromFile = await serve(["./greeter.ts"], folder);
  expect(await (await fetch(fromFile.url)).text()).toMatch(/^typed from /);
  serving?.signal("SIGKILL");

  const installed = join(folder, "node_modules", "greeter");
  await mkdir(installed, { recursive: true });
  await writeFile(
    join(installed, "package.json"),
    '{"name":"greeter","type":"module","exports":{"import":"./index.js"}}',
  );
  await writeFile(join(installed, "index.js"), greeter("packed"));
  const fromPackage = await serve(["greeter"], folder);
  expect(await (await fetch(fromPackage.url)).text()).toMatch(/^packed from /);
});

test("ends although a client holds a stream and a connection open", async () => {
  const { url } = await serve(["yardstick"]);
  const accept = "application/json, text/event-stream";
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  const opened = await fetch(`${url}/mcp`, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }),
  });
  await opened.text();
  const session = opened.headers.get("mcp-session-id") ?? "";
  const stream = await fetch(`${url}/mcp`, { headers: { accept: "text/event-stream", "mcp-session-id": session } });
  expect(stream.status).toBe(200);
  serving?.signal("SIGTERM");
  expect(await serving?.exit(8_000)).toBe(0);
  // It was ended properly, not cut.
  await stream.text();
});
