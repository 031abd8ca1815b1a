import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AdminListener, startAdminServer } from "../../src/admin/admin-server.ts";
import type { AdminApi, NodeView } from "../../src/admin/target.ts";
import { OnceASecond } from "../../src/cli/once-a-second.ts";
import { missingOf } from "../../src/cli/restart-all.ts";
import { lookAt } from "../../src/cli/restart-node.ts";
import { silentLog } from "../../src/ports/log.ts";
import { MooringProcess, runMooring } from "../cluster/mooring-process.ts";
import { eventually } from "../support/eventually.ts";
import { call, initialize } from "../support/raw-mcp.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";

interface Ready {
  readonly pid: number;
  readonly url: string;
  readonly admin: string;
}

const serving: MooringProcess[] = [];
afterEach(() => {
  for (const node of serving.splice(0)) node.signal("SIGKILL");
});

/** A node that nobody supervises. */
async function serve(...args: string[]): Promise<Ready & { readonly process: MooringProcess }> {
  const process = new MooringProcess(["serve", "yardstick", "--port", "0", "--json", ...args]);
  serving.push(process);
  await eventually(() => expect(process.stdout, process.told()).toContain("\n"), 20_000);
  return { ...(JSON.parse(process.stdout) as Ready), process };
}

describe("nodes that nobody starts again", () => {
  let valkey: Valkey;
  beforeAll(async () => {
    valkey = await startValkey();
  });
  afterAll(() => valkey?.stop());

  test("a rolling restart stops at the first one, and says what to do", async () => {
    const first = await serve("--name", "node-1", "--redis", valkey.url);
    const second = await serve("--name", "node-2", "--redis", valkey.url);
    const { code, stdout, logs } = await runMooring(
      ["restart", "--rolling", "--start-deadline", "1s", "--url", first.admin, "--json"],
      { environment: { XDG_STATE_HOME: "/nonexistent/state" } },
    );
    expect(code).toBe(1);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { event: string }).event),
    ).toEqual(expect.arrayContaining(["restarting", "ended"]));
    expect(logs).toMatchObject([{ event: "command-failed", code: "node-not-back" }]);
    expect(String(logs[0]?.message)).toMatch(
      /Node node-1 \(pid \d+\) does not answer any more, and no new one was up within 1s \(--start-deadline\).*stops here: node-2 /,
    );
    // It ended as by SIGTERM.
    expect(await first.process.exit(5_000)).toBe(0);
    expect(first.process.logs().map(({ event }) => event)).toEqual(
      expect.arrayContaining(["node-restarting", "node-stopping", "node-stopped"]),
    );
    expect((await fetch(`${second.admin}/readyz`)).status).toBe(200);
  });
});

describe("while a rolling restart is under way", () => {
  let listener: AdminListener;
  let nodes: NodeView[];
  let told: string[];
  /** What happens to the cluster when a node is told to restart. */
  let onRestart: (name: string) => void;
  beforeEach(async () => {
    nodes = ["node-1", "node-2", "node-3"].map((name, index) => ({
      ...{ name, tag: `abcde${index + 2}`, state: "up", sessions: 3, pid: 1, since: 1 },
      ...{ url: `http://127.0.0.1:300${index}`, admin: "http://127.0.0.1:1" },
    }));
    told = [];
    const api = {
      nodes: async () => nodes,
      restart: async (name: string) => {
        told.push(name);
        const node = nodes.find((candidate) => candidate.name === name) as NodeView;
        onRestart(name);
        return { kind: "asked", node: { ...node, drainDeadline: 30_000, stopDeadline: 50_000 } };
      },
    } satisfies Partial<AdminApi> as unknown as AdminApi;
    listener = await startAdminServer({
      ...{ api, title: "test", address: { host: "127.0.0.1", port: 0 }, option: "--admin", allowHost: [] },
      ...{ plain: {}, log: silentLog },
    });
  });
  afterEach(() => listener.stop());

  const change = (name: string, changes: Partial<NodeView>) => {
    nodes = nodes.map((node) => (node.name === name ? { ...node, ...changes } : node));
  };

  test.each([
    ["down", () => change("node-3", { state: "down" })],
    ["not listed any more", () => void nodes.pop()],
  ])("a node that is %s meanwhile stops it: the cluster would lack two", async (_how, lose) => {
    onRestart = (name) => {
      change(name, { since: 2 });
      lose();
    };
    const { code, logs } = await runMooring([
      ...["restart", "--rolling", "--start-deadline", "500ms", "--url", listener.url, "--json"],
    ]);
    expect(code).toBe(1);
    expect(told).toEqual(["node-1"]);
    expect(logs).toMatchObject([
      {
        code: "node-down",
        message: expect.stringMatching(/^node-3 is down.* stops here: node-2, node-3 were left as they are\.$/),
      },
    ]);
  });

  test("who interrupts it is told which nodes go on, and which were left", async () => {
    onRestart = () => {};
    const restart = new MooringProcess(["restart", "--rolling", "--url", listener.url]);
    await eventually(() => expect(restart.told()).toContain("node-1 has 3 sessions left"), 10_000);
    restart.signal("SIGINT");
    expect(await restart.exit(2_000)).toBe("SIGINT");
    expect(restart.told()).toMatch(
      /Interrupted\. Node node-1 was asked to restart, and does so all the same.* node-2, node-3 were left as they are\./,
    );
  });

  test("whoever is listed and not down is there, a draining one too", () => {
    const seen = [
      { name: "a", state: "draining" },
      { name: "b", state: "down" },
    ] as const;
    expect(missingOf(["a", "b", "c"], seen)).toEqual(["b", "c"]);
  });
});

test("a second SIGTERM ends a node at once, although a call still runs", async () => {
  const { url, admin, process } = await serve();
  const session = await initialize(`${url}/mcp`);
  const cut = call(`${url}/mcp`, session, "sleep", { ms: 60_000, steps: 1 }).catch(() => "cut");
  const metrics = async () => await (await fetch(`${admin}/metrics`)).text();
  await eventually(async () => expect(await metrics()).toContain("mooring_calls_in_flight 1"));
  process.signal("SIGTERM");
  await eventually(() => expect(process.logs().map(({ event }) => event)).toContain("node-stopping"));
  // What comes right after the first signal is taken for the same wish.
  process.signal("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(process.running).toBe(true);
  process.signal("SIGTERM");
  expect(await process.exit(1_000)).toBe(1);
  expect(process.logs().at(-1)).toMatchObject({ level: "warn", event: "node-stopped", sessions: 1 });
  await cut;
});

test("without a node's name it asks for --rolling, and with one it refuses that", async () => {
  for (const args of [["restart"], ["restart", "node-1", "--rolling"]]) {
    const { code, stdout, stderr } = await runMooring(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe("mooring: mooring restart needs a node's name, or --rolling for all of them.\n");
  }
});

describe("what a look at a restarting node shows", () => {
  const before = { pid: 1, since: 1_000 };
  const view = {
    ...{ name: "node-1", tag: "abcdef", state: "up" as const, sessions: 3, ...before },
    ...{ url: "http://10.0.0.7:3001", admin: "http://10.0.0.7:9401" },
  };

  test("the former incarnation, and how much it has to hand over", () => {
    expect(lookAt(before, view)).toEqual({ kind: "ending", left: 3 });
    expect(lookAt(before, { ...view, state: "draining", drainLeft: 2 })).toEqual({ kind: "ending", left: 2 });
  });

  test("nothing, or one that does not serve yet", () => {
    for (const seen of [
      undefined,
      { ...view, state: "down" as const },
      { ...view, since: 2_000, state: "down" as const },
    ])
      expect(lookAt(before, seen)).toEqual({ kind: "gone" });
  });

  test("the next incarnation, also where every process has one pid", () => {
    const next = { ...view, since: 2_000 };
    expect(lookAt(before, next)).toEqual({ kind: "back", node: next });
  });
});

test("progress is told when there is some, and once a second at most", () => {
  const said: number[] = [];
  const seldom = new OnceASecond();
  for (const [value, at] of [
    [5, 0],
    [4, 500],
    [4, 1_000],
    [4, 2_500],
    [3, 2_600],
  ] as const) {
    seldom.say(value, () => said.push(value), at);
  }
  expect(said).toEqual([5, 4, 3]);
});
