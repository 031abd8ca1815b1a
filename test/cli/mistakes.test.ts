import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMooring } from "../cluster/mooring-process.ts";
import { freePort } from "../support/free-port.ts";

let folder: string;
let taken: number;
const listener = createServer();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-mistakes-"));
  await writeFile(join(folder, "empty.mjs"), "export const answer = 42;\n");
  await writeFile(join(folder, "broken.mjs"), "throw new Error('the config is missing');\n");
  await writeFile(join(folder, "lacking.mjs"), "import 'no-such-package-anywhere';\n");
  // The port before it is taken by nobody: tests take few of these.
  taken = await freePort();
  await new Promise<void>((resolve) => listener.listen(taken, "127.0.0.1", resolve));
});
afterAll(async () => {
  listener.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command that can't work: it has to give one line on stderr, nothing on stdout, and the right exit status. */
async function failing(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ code: unknown; line: string }> {
  const result = await runMooring(args, { environment: { XDG_STATE_HOME: folder, ...environment } });
  expect(result.stdout).toBe("");
  expect(result.stderr).toBe("");
  const errors = result.logs.filter(({ level }) => level === "error");
  expect(errors, JSON.stringify(result.logs)).toHaveLength(1);
  expect(errors[0]?.event).toBe("command-failed");
  const line = String(errors[0]?.message);
  expect(line).not.toContain("\n");
  return { code: result.code, line };
}

describe.each([
  { command: "serve", module: (name: string) => ["serve", name, "--json", "--port", "0"] },
  { command: "up", module: (name: string) => ["up", "--json", "--port", "0", "--nodes", "2", "--server", name] },
])("mooring $command", ({ module }) => {
  test("settings that contradict each other: both are named", async () => {
    const args = module("yardstick");
    const byFlag = await failing([...args, "--lease", "1s", "--renew", "800ms"]);
    expect(byFlag.code).toBe(2);
    expect(byFlag.line).toMatch(/lease \(1000 ms\).*renew \(800 ms\)/);
    const byVariable = await failing([...args, "--renew", "3s"], { MOORING_LEASE: "4s" });
    expect(byVariable.line).toMatch(/lease \(4000 ms\).*renew \(3000 ms\)/);
    const unread = await failing([...args, "--lease", "soon"]);
    expect(unread).toEqual({ code: 2, line: '--lease is "soon". Give a duration such as 500ms, 5s, 15min or 1h.' });
  });

  test("a Redis that does not answer", async () => {
    const { code, line } = await failing([...module("yardstick"), "--redis", "redis://127.0.0.1:1"]);
    expect(code).toBe(1);
    expect(line).toMatch(/127\.0\.0\.1:1/);
  });

  test("a module that is not there, that has no server, or that fails", async () => {
    const missing = await failing(module(join(folder, "nowhere.mjs")));
    expect(missing).toMatchObject({
      code: 1,
      line: expect.stringContaining(`There is no module ${folder}/nowhere.mjs`),
    });
    const noPackage = await failing(module("no-such-package-anywhere"));
    expect(noPackage).toMatchObject({
      code: 1,
      line: expect.stringContaining("There is no module no-such-package-anywhere"),
    });
    const empty = await failing(module(join(folder, "empty.mjs")));
    expect(empty).toMatchObject({
      code: 1,
      line: expect.stringContaining("empty.mjs has no server: it has no default export"),
    });
    const broken = await failing(module(join(folder, "broken.mjs")));
    expect(broken.line).toBe(`The module ${folder}/broken.mjs could not be loaded: the config is missing`);
    const lacking = await failing(module(join(folder, "lacking.mjs")));
    expect(lacking.line).toMatch(/lacking\.mjs could not be loaded: Cannot find package 'no-such-package-anywhere'/);
  });

  test("a stdio server, which is not possible yet", async () => {
    const { code, line } = await failing([...module("yardstick").slice(0, 2), "--", "node", "server.js"]);
    expect(code).toBe(2);
    expect(line).toContain("-- CMD");
  });
});

test("mooring serve: a port in use", async () => {
  const { code, line } = await failing(["serve", "yardstick", "--json", "--port", String(taken)]);
  expect(code).toBe(1);
  expect(line).toMatch(new RegExp(`^Port ${taken} on 127.0.0.1 is in use, and --port asks for it\\. `));
  const admin = await failing(["serve", "yardstick", "--json", "--port", "0", "--admin", `127.0.0.1:${taken}`]);
  expect(admin).toMatchObject({ code: 1, line: expect.stringContaining("--admin asks for it") });
});

test("mooring serve: what nobody could be sent to, and a malformed admin address, before anything has begun", async () => {
  for (const [args, said] of [
    [
      ["--advertise", "10.0.0.7:3001"],
      'its address is "10.0.0.7:3001", where http://host:port is needed (--advertise)',
    ],
    [["--admin", "everywhere"], '--admin is "everywhere". Give host:port'],
  ] as const) {
    const { code, line } = await failing(["serve", "yardstick", "--json", "--port", "0", ...args]);
    expect(code).toBe(2);
    expect(line).toContain(said);
  }
});

test("a folder that can't be used is named, and how to name another one", async () => {
  const file = join(folder, "empty.mjs");
  const { code, line } = await failing(["up", "--json", "--port", "0"], { XDG_STATE_HOME: file });
  expect(code).toBe(1);
  expect(line).toMatch(
    /^Mooring can't use its folder .*empty\.mjs\/mooring: ENOTDIR.* another one with XDG_STATE_HOME\.$/,
  );
});

test("mooring up: a port in use, by whichever option it is asked for", async () => {
  for (const option of [
    "--port",
    "--tls-port",
    "--node-port",
    "--admin-port",
    "--console-port",
    "--redis-port",
    "--api-port",
  ]) {
    const free =
      option === "--port"
        ? ["--tls-port=0", "--node-port=0", "--admin-port=0", "--console-port=0", "--redis-port=0", "--api-port=0"]
        : ["--port=0"];
    const { code, line } = await failing(["up", "--json", "--nodes", "1", ...free, option, String(taken)]);
    expect(code).toBe(1);
    expect(line).toMatch(new RegExp(`^Port ${taken} on 127.0.0.1 is in use, and ${option} asks for it\\. `));
  }
  const second = await failing(["up", "--json", "--nodes", "2", "--port=0", "--node-port", String(taken - 1)]);
  expect(second.line).toMatch(new RegExp(`^Port ${taken} on 127.0.0.1 is in use, and --node-port asks for it`));
  const twice = await failing(["up", "--json", "--nodes", "3", "--port=0", "--node-port=15001", "--api-port=15002"]);
  expect(twice.line).toMatch(/^Port 15002 is asked for twice, by --node-port and --api-port\./);
});

test("wrong usage ends with status 2 and says what is right", async () => {
  for (const [args, said] of [
    [["nonsense"], "unknown command 'nonsense'"],
    [["nodes", "--nonsense"], "unknown option '--nonsense'"],
    [["close"], "missing required argument 'id'"],
    [["drain"], "missing required argument 'node'"],
    [["restart"], "mooring restart needs a node's name, or --rolling for all of them."],
    [["restart", "--rolling", "--start-deadline", "soon"], '--start-deadline is "soon".'],
    [["restart", "--rolling", "--start-deadline", "0"], '--start-deadline is "0". Give a duration up to 1h'],
    [["up", "--nodes", "many"], '--nodes is "many". Give a whole number from 1 to 100.'],
    [["up", "--policy", "adopt"], '--policy is "adopt". Give "resume" or "reject".'],
    [["serve"], "mooring serve needs a module."],
  ] as const) {
    const { code, stdout, stderr, logs } = await runMooring(args, { environment: { XDG_STATE_HOME: folder } });
    expect([code, stdout]).toEqual([2, ""]);
    // Commands that log give JSON where nobody watches, the others a line for people.
    expect(`${stderr}${String(logs[0]?.message)}`).toContain(said);
    expect(stderr === "" ? logs : stderr.trim().split("\n")).toHaveLength(1);
  }
});

test("every command has --help and --json", async () => {
  for (const command of ["up", "serve", "nodes", "sessions", "close", "drain", "restart"]) {
    const { code, stdout } = await runMooring([command, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: mooring ${command} `);
    expect(stdout).toContain("--json");
  }
});
