import { afterEach, expect, test } from "vitest";
import { type AdminListener, startAdminServer } from "../../src/admin/admin-server.ts";
import { nodeNotTold, refusalOf } from "../../src/admin/problem.ts";
import type { AdminApi, NodeView } from "../../src/admin/target.ts";
import { silentLog } from "../../src/ports/log.ts";
import { MooringProcess, runMooring } from "../cluster/mooring-process.ts";
import { eventually } from "../support/eventually.ts";

let listener: AdminListener | undefined;
afterEach(() => listener?.stop());

const node: NodeView = {
  ...{ name: "node-1", tag: "abcdef", state: "up", sessions: 3, pid: 1, since: 1 },
  ...{ url: "http://127.0.0.1:3001", admin: null },
};

/** An admin listener whose node has these looks, one after another, from when it is told to drain. */
async function drainingNode(...looks: Partial<NodeView>[]): Promise<string> {
  const next = (): NodeView => ({ ...node, state: "draining", ...(looks.length > 1 ? looks.shift() : looks[0]) });
  const api = {
    nodes: async () => [next()],
    setState: async () => ({ kind: "changed", node: { ...next(), drainDeadline: 30_000, stopDeadline: 50_000 } }),
  } satisfies Partial<AdminApi> as unknown as AdminApi;
  listener = await startAdminServer({
    ...{ api, title: "test", address: { host: "127.0.0.1", port: 0 }, option: "--admin", allowHost: [] },
    ...{ plain: {}, log: silentLog },
  });
  return listener.url;
}

test("mooring drain waits until the node has handed its sessions over, and tells how far it is", async () => {
  const url = await drainingNode({ drainLeft: 3 }, { drainLeft: 2, sessions: 2 }, { sessions: 0 });
  const { code, stdout, stderr } = await runMooring(["drain", "node-1", "--url", url]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "Node node-1 has 3 sessions to hand over.\n" });
  expect(stdout).toBe("Node node-1 is draining: it gets no new sessions, and serves the 0 it has.\n");
});

test("with --json it prints one document, the node as it is in the end", async () => {
  const url = await drainingNode({ drainLeft: 3 }, { drainLeft: 2, sessions: 2 }, { sessions: 0 });
  const { code, stdout, stderr } = await runMooring(["drain", "node-1", "--url", url, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({ ...node, state: "draining", sessions: 0 });
});

test("who interrupts it is told that the drain goes on", async () => {
  const url = await drainingNode({ drainLeft: 3 });
  const drain = new MooringProcess(["drain", "node-1", "--url", url]);
  await eventually(() => expect(drain.told()).toContain("3 sessions to hand over"), 10_000);
  drain.signal("SIGINT");
  expect(await drain.exit(2_000)).toBe("SIGINT");
  expect(drain.told()).toContain("Interrupted. Node node-1 drains all the same: mooring drain node-1 waits");
});

test("it ends when somebody undoes the drain, and says so", async () => {
  const url = await drainingNode({ drainLeft: 3 }, { drainLeft: 1 }, { state: "up" });
  const { code, stdout, logs } = await runMooring(["drain", "node-1", "--url", url, "--json"]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(logs).toMatchObject([{ code: "node-not-drained", message: expect.stringMatching(/undid.*1 session to/) }]);
});

test("what a node says of itself goes on to who asked through another one as it is", () => {
  const own = nodeNotTold("node-1", { kind: "not-told", why: "it is just starting.", next: "Wait." });
  const { status, ...body } = own;
  expect(nodeNotTold("node-1", refusalOf("node-1", { status, body }))).toEqual(own);
  expect(refusalOf("node-1", { status: 502, body: null })).toEqual({ kind: "not-told", why: "status 502" });
});
