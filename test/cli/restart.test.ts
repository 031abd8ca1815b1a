import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { OnceASecond } from "../../src/cli/once-a-second.ts";
import { lookAt } from "../../src/cli/restart-node.ts";
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
