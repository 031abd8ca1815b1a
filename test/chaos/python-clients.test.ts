import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, type ClusterNode, startCluster } from "../cluster/harness.ts";
import { PythonClients, type PythonSession, type Tool } from "./python-sessions.ts";

let folder: string;
let cluster: Cluster;
let clients: PythonClients[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-python-"));
  cluster = await startCluster({
    nodes: 3,
    args: ["--restart", "--lease", "3s", "--ledger", "strict"],
    env: { YARDSTICK_LOG: join(folder, "lines") },
  });
  // The first run on a machine makes their environments.
  for (const sdk of ["1.29.0", "2.3.0"] as const) clients.push(await PythonClients.start(sdk, cluster.mcp));
}, 300_000);
afterEach(() => Promise.all(clients.map((each) => each.close())));
afterAll(async () => {
  await Promise.all(clients.map((each) => each.stop()));
  clients = [];
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

const node = (index: number) => cluster.nodes[index] as ClusterNode;
const livedAt = (index: number) => (session: PythonSession) => session.home === node(index).tag;
const faults = (sessions: readonly PythonSession[]) => sessions.flatMap((session) => session.faults());
const failures = (sessions: readonly PythonSession[]) =>
  sessions.flatMap(({ name, failures, clientEnds }) => [...failures, ...clientEnds].map((each) => ({ name, ...each })));

/** Sessions of both versions: as many of each on each node, or more. */
async function open(tool: Tool, onEachNode: number, announce = false): Promise<PythonSession[]> {
  const sessions: PythonSession[] = [];
  const view = () => cluster.logs().findLast(({ event }) => event === "edge-published")?.up as string[] | undefined;
  await cluster.waitFor(() => view()?.length === 3, { deadline: 20_000, what: "every node to be in the pool" });
  for (const each of clients) {
    const own: PythonSession[] = [];
    const isShort = (tag: string) => own.filter(({ home }) => home === tag).length < onEachNode;
    while (cluster.nodes.some(({ tag }) => isShort(tag))) own.push(await each.open(tool, { announce }));
    sessions.push(...own);
  }
  return sessions;
}

async function every(sessions: readonly PythonSession[], what: string, holds: (session: PythonSession) => unknown) {
  await cluster.waitFor(() => sessions.every(holds), { deadline: 20_000, what });
}

const counted = ({ calls }: PythonSession) => calls.length >= 3;

/**
 * What becomes of a call whose node dies before anything of its answer has left: the edge says 502 at once. 2.3 gives
 * that to its caller, and goes on. 1.29 does not survive it: the whole client ends, by an error that it raises in place
 * of the call's. A new client can go on with the session.
 */
function expectToldAtOnce(session: PythonSession, killedAt: number): void {
  const told = session.failures.filter(({ unsure }) => !unsure);
  for (const { sentAt, endedAt } of told) {
    // What is sent later goes to another node.
    expect(sentAt - killedAt).toBeLessThan(1_000);
    expect(endedAt - killedAt).toBeLessThan(3_000);
  }
  const errors = told.map(({ error }) => error);
  if (session.sdk === "2.3.0") {
    expect(errors).toEqual(errors.map(() => "MCPError: Server returned an error response"));
    expect(session.clientEnds).toEqual([]);
  } else {
    expect(session.clientEnds.map(({ error }) => error)).toEqual(errors);
    for (const error of errors) expect(error).toMatch(/HTTPStatusError: Server error '502 Bad Gateway'/);
  }
}

/** In this order: what has been killed starts again meanwhile. */
describe("unmodified clients of the Python SDK, 1.29 and 2.3", () => {
  test("notice nothing of a restart of their node: no call fails, counts and announced numbers are whole", {
    timeout: 120_000,
  }, async () => {
    const sessions = await open("count", 2, true);
    await every(sessions, "every session to have counted", counted);
    const { code, stderr } = await cluster.mooring("restart", node(0).name, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const restartedAt = Date.now();
    // A stream that ended comes back after some five seconds, as it was told to.
    await every(sessions, "every client to hear numbers again", ({ heardAt }) => heardAt > restartedAt);
    expect(failures(sessions)).toEqual([]);
    expect(faults(sessions)).toEqual([]);
    for (const { calls } of sessions.filter(livedAt(0))) {
      expect(new Set(calls.map(({ result }) => result?.node)).size).toBeGreaterThan(1);
    }
  });

  test("are served by the adopter while their node is frozen, and when it thaws", { timeout: 120_000 }, async () => {
    const sessions = await open("count", 1, true);
    await every(sessions, "every session to have counted", counted);
    await Promise.all(clients.map((each) => each.rest()));
    cluster.freeze(1);
    await cluster.waitForLog("edge-published", ({ down }) => (down as string[]).includes(node(1).name), 20_000);
    const downAt = Date.now();
    for (const each of clients) each.work();
    await every(sessions, "every session to count on", (session) => session.firstAfter(downAt));
    for (const session of sessions.filter(livedAt(1))) {
      expect(session.firstAfter(downAt)?.result?.node).not.toBe(node(1).name);
    }
    cluster.thaw(1);
    const thawedAt = Date.now();
    // Until now they had an open stream of the frozen node, and heard nothing on it.
    await every(sessions, "every client to hear numbers", ({ heardAt }) => heardAt > thawedAt);
    expect(failures(sessions)).toEqual([]);
    expect(faults(sessions)).toEqual([]);
  });

  test("survive the sudden death of their node under load", { timeout: 120_000 }, async () => {
    const counting = await open("count", 2, true);
    const sleeping = await open("sleep", 1);
    const appending = await open("append", 1);
    const sessions = [...counting, ...sleeping, ...appending];
    await every([...counting, ...appending], "every session to work", counted);
    // The node dies in the middle of these calls, which only read.
    const asleep = sleeping.filter(livedAt(2));
    await every(asleep, "their calls to be under way", ({ inFlightSince = Date.now() }) => {
      const forMs = Date.now() - inFlightSince;
      return forMs > 200 && forMs < 1_200;
    });
    const killedAt = Date.now();
    await cluster.kill(2);
    await every(sessions, "every session to go on", (session) => session.firstAfter(killedAt + 200));
    const listening = counting.filter(({ clientEnds }) => clientEnds.length === 0);
    await every(listening, "every client to hear numbers", ({ heardAt }) => heardAt > killedAt + 500);

    const dead = sessions.filter(livedAt(2));
    expect(failures(sessions.filter((session) => !dead.includes(session)))).toEqual([]);
    expect(faults(sessions)).toEqual([]);
    const recovered = dead.flatMap((session) => {
      expect(session.failures.length, session.name).toBeLessThanOrEqual(1);
      expectToldAtOnce(session, killedAt);
      const first = session.failures.length === 0 && session.tool === "count" && session.firstAfter(killedAt);
      return first ? [first.endedAt - killedAt] : [];
    });
    console.log(`next good calls ${recovered.map(Math.round).join(", ")} ms after the kill; ${told(dead, killedAt)}`);
    expect(Math.max(...recovered)).toBeLessThanOrEqual(5_000);
    // They ran again where the session was adopted.
    for (const session of asleep) {
      expect(session.failures).toEqual([]);
      const call = session.calls.find(({ sentAt, endedAt }) => sentAt < killedAt && endedAt > killedAt);
      expect(call?.result?.node).not.toBe(node(2).name);
      expect((call?.endedAt ?? Number.POSITIVE_INFINITY) - killedAt).toBeLessThan(10_000);
    }
    // One that may have run is not run again, and its client is told.
    for (const { error, unsure } of dead.flatMap((session) => session.failures)) {
      if (unsure) expect(error).toMatch(/may or may not have run/);
    }
    const lines = (await readFile(join(folder, "lines"), "utf8")).trim().split("\n");
    expect(lines.length).toBe(new Set(lines).size);
    const acknowledged = appending.flatMap(({ acknowledgedLines }) => acknowledgedLines);
    expect(acknowledged.filter((line) => !lines.includes(line))).toEqual([]);
  });

  test("are told at once when their node dies before anything of an answer has left, and the session goes on", {
    timeout: 120_000,
  }, async () => {
    const sessions = await open("count", 1);
    await every(sessions, "every session to have counted", counted);
    const dead = sessions.filter(livedAt(0));
    // What a frozen node was sent stays in its sockets.
    cluster.freeze(0);
    await every(
      dead,
      "a call of each at the node",
      ({ inFlightSince = Date.now() }) => Date.now() - inFlightSince > 150,
    );
    const killedAt = Date.now();
    await cluster.kill(0);
    await every(sessions, "every session to go on", (session) => session.firstAfter(killedAt + 200));
    for (const session of dead) {
      expect(session.failures, session.name).toHaveLength(1);
      expectToldAtOnce(session, killedAt);
    }
    expect(failures(sessions.filter((session) => !dead.includes(session)))).toEqual([]);
    expect(faults(sessions)).toEqual([]);
  });
});

/** What became of the calls that were in flight, for the note. */
function told(sessions: readonly PythonSession[], killedAt: number): string {
  const calls = sessions.flatMap(({ sdk, tool, failures }) =>
    failures.map(({ sentAt, error, unsure }) => {
      const what = unsure ? "may have run" : error?.split("\n")[0];
      return `${tool} of ${sdk}, sent ${Math.round(killedAt - sentAt)} ms before: ${what}`;
    }),
  );
  return calls.length === 0 ? "no call failed" : calls.join("; ");
}
