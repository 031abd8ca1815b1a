import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { MooringProcess, runMooring } from "./mooring-process.ts";

const lease = 2_000;
/** For what a process takes to start, and the registry to answer, on a busy machine. */
const leeway = 3_000;

interface Served {
  readonly process: MooringProcess;
  readonly url: string;
  readonly admin: string;
  readonly pid: number;
}

let valkey: Valkey;
let started: MooringProcess[] = [];
beforeEach(async () => {
  valkey = await startValkey();
});
afterEach(async () => {
  for (const process of started) if (process.running) process.signal("SIGKILL");
  await Promise.all(started.map((process) => process.exit(5_000)));
  started = [];
  await valkey.stop();
});

function begin(name: string, leaseMs = lease): MooringProcess {
  const times = ["--lease", `${leaseMs}ms`, "--renew", "400ms"];
  const node = ["--name", name, "--port", "0", "--redis", valkey.url];
  const process = new MooringProcess(["serve", "yardstick", "--json", ...node, ...times]);
  started.push(process);
  return process;
}

/** Waits until a node serves. */
async function served(process: MooringProcess): Promise<Served> {
  await eventually(() => expect(process.stdout, process.told()).toContain("\n"), 20_000);
  const { url, admin } = JSON.parse(process.stdout) as { url: string; admin: string };
  return { process, url, admin, pid: process.pid };
}

const start = (name: string) => served(begin(name));

async function kill({ process }: Served): Promise<void> {
  process.signal("SIGKILL");
  await process.exit(5_000);
}

/** The nodes as one of them tells them. */
async function nodes({ admin }: Served): Promise<{ name: string; state: string; pid: number }[]> {
  const { stdout } = await runMooring(["nodes", "--json", "--url", admin]);
  return JSON.parse(stdout) as { name: string; state: string; pid: number }[];
}

const failure = (process: MooringProcess) => process.logs().find(({ event }) => event === "command-failed");

describe("a name", () => {
  test("comes back to a node that was killed and started again, within one lease", async () => {
    const first = await start("node-1");
    await kill(first);
    const killed = performance.now();
    const second = await start("node-1");
    expect(performance.now() - killed).toBeLessThan(lease + leeway);
    await initialize(`${second.url}/mcp`);
    expect(await nodes(second)).toMatchObject([{ name: "node-1", state: "up", pid: second.pid }]);
  });

  test("is waited for no longer by a node that is told to stop", async () => {
    await kill(await served(begin("node-1", 60_000)));
    const second = begin("node-1");
    await eventually(() => expect(second.logs().map(({ event }) => event)).toContain("node-waiting"), 20_000);
    second.signal("SIGTERM");
    // Not by the signal itself, which the first process of a container does not die of.
    expect(await second.exit(1_000)).toBe(0);
  });

  test("comes back at once to a node that was stopped", async () => {
    const first = await start("node-1");
    first.process.signal("SIGTERM");
    expect(await first.process.exit(10_000)).toBe(0);
    const second = await start("node-1");
    expect(second.process.logs().filter(({ event }) => event === "node-waiting")).toEqual([]);
  });

  test("is refused to a second node while the first lives, with both addresses", async () => {
    const first = await start("node-1");
    const second = begin("node-1");
    expect(await second.exit(10_000)).toBe(1);
    const { code, message } = failure(second) as { code?: unknown; message?: unknown };
    expect(code).toBe("name-taken");
    expect(message).toContain(first.url);
    expect(String(message).match(/http:\/\/127\.0\.0\.1:\d+/g)).toHaveLength(2);
    expect(await nodes(first)).toMatchObject([{ pid: first.pid }]);
  });

  test("is not shared with a node of another name and the same tag", async () => {
    await start("node-10306");
    const second = begin("node-16062");
    expect(await second.exit(10_000)).toBe(1);
    expect(failure(second)).toMatchObject({ code: "tag-taken", message: expect.stringContaining('"node-10306"') });
  });

  test("that was taken from a frozen node is not used by it any more: thawed, it ends and says why", async () => {
    const first = await start("node-1");
    const session = await initialize(`${first.url}/mcp`);
    first.process.signal("SIGSTOP");
    const second = await start("node-1");
    first.process.signal("SIGCONT");
    expect(await first.process.exit(lease + leeway)).toBe(1);
    expect(failure(first.process)).toMatchObject({
      code: "node-lost",
      message: expect.stringContaining(`${second.url} (pid ${second.pid})`),
    });
    expect(first.process.logs()).toContainEqual(expect.objectContaining({ level: "error", event: "node-lost" }));
    expect(await nodes(second)).toMatchObject([{ name: "node-1", pid: second.pid }]);
    // What the first one held goes on there.
    const { body } = await call(`${second.url}/mcp`, session, "where");
    expect(body.result?.structuredContent).toMatchObject({ pid: second.pid, session, epoch: 2 });
  });
});

describe("other nodes", () => {
  test("see one that joins and one that stops at once, and one that is killed gone within one lease", async () => {
    const watcher = await start("watcher");
    const [stopped, killed] = await Promise.all([start("stopped"), start("killed")]);
    const names = async () => (await nodes(watcher)).map(({ name }) => name);
    expect(await names()).toEqual(["killed", "stopped", "watcher"]);
    stopped.process.signal("SIGTERM");
    await stopped.process.exit(10_000);
    expect(await names()).toEqual(["killed", "watcher"]);
    await kill(killed);
    await eventually(async () => expect(await names()).toEqual(["watcher"]), lease + leeway);
  });

  test("join again when Redis was emptied", async () => {
    const [one] = await Promise.all([start("one"), start("two")]);
    await valkey.kill();
    valkey = await startValkey({ port: valkey.port });
    await eventually(
      async () => expect((await nodes(one)).map(({ name, state }) => `${name} ${state}`)).toEqual(["one up", "two up"]),
      lease + leeway,
    );
  });
});
