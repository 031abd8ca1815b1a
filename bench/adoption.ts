import type { Bench } from "./bench.ts";
import { checkedCall, warmUp } from "./checked-calls.ts";
import type { Children } from "./children.ts";
import { Connection } from "./load/connection.ts";
import { OpenStream } from "./load/open-stream.ts";
import { LoadSession } from "./load/session.ts";
import { type Machine, machine, met, table, timesRow } from "./report.ts";
import { type Percentiles, percentiles } from "./statistics.ts";
import { type StartedNode, startNode } from "./subjects/node.ts";
import { startRegistry } from "./subjects/valkey.ts";

export interface AdoptionOptions {
  readonly sessions: number;
  /** How often each session's counter is counted up, and how many events are logged on its stream, before its node dies. */
  readonly counts: number;
  readonly events: number;
}

export interface AdoptionReport {
  readonly bench: "adoption";
  readonly machine: Machine;
  readonly options: AdoptionOptions;
  /** Milliseconds: what a client sees of the first call after the death of its session's node, and of the second. */
  readonly firstCall: Percentiles;
  readonly nextCall: Percentiles;
  /** Milliseconds: the adoption alone, from the claim until the session serves, as the adopting node logs it. */
  readonly adoption: Percentiles;
  /** From the kill to the answer of the first call of all. */
  readonly untilFirstMs: number;
  /** The first sessions that did not come back whole, in words. */
  readonly failures: readonly string[];
  readonly failed: number;
}

const aimMs = 3;
const eventsDeadlineMs = 20_000;
const maxSamples = 5;

/** Sessions of a node that was killed, called at another one after another: each first call adopts its session. */
export const adoptionBench: Bench<AdoptionOptions, AdoptionReport> = {
  run: benchAdoption,
  describe: describeAdoption,
  isGood: ({ failed }) => failed === 0,
};

async function benchAdoption(children: Children, options: AdoptionOptions): Promise<AdoptionReport> {
  const valkey = await startRegistry(children);
  const adoptions: number[] = [];
  const start = (name: string, onLog?: (line: string) => void): Promise<StartedNode> =>
    startNode(children, {
      name,
      redis: valkey.url,
      // Nothing between: who is refused knows that the other is gone, as on `mooring up`.
      options: ["--peer-direct", "true"],
      ...(onLog === undefined ? {} : { onLog }),
    });
  const dying = await start("dying");
  const adopting = await start("adopting", (line) => {
    const ms = adoptionMsIn(line);
    if (ms !== undefined) adoptions.push(ms);
  });

  const at = new URL(`${adopting.url}/mcp`);
  const connection = new Connection(at);
  await warmUp(at, connection, "where");
  const sessions = await begin(new URL(`${dying.url}/mcp`), options);
  process.stderr.write(`${sessions.length} sessions with state and events; their node is killed …\n`);
  dying.process.kill();
  await dying.process.exited;
  const killedAt = performance.now();

  const firstCall: number[] = [];
  const nextCall: number[] = [];
  const failures: string[] = [];
  let untilFirstMs = 0;
  for (const [index, begun] of sessions.entries()) {
    const session = begun.at(at);
    try {
      firstCall.push(await checkedCall(session, connection, "where", { node: "adopting" }));
      if (index === 0) untilFirstMs = performance.now() - killedAt;
      nextCall.push(await checkedCall(session, connection, "where", { node: "adopting" }));
      await checkedCall(session, connection, "count", { value: options.counts + 1 });
    } catch (error) {
      failures.push(`session ${index + 1}: ${(error as Error).message}`);
    }
  }
  connection.close();
  return {
    bench: "adoption",
    machine: machine(),
    options,
    firstCall: percentiles(firstCall),
    nextCall: percentiles(nextCall),
    adoption: percentiles(adoptions),
    untilFirstMs,
    failures: failures.slice(0, maxSamples),
    failed: failures.length,
  };
}

/** Sessions that have something to be restored: tools that their client knows, a counter, and events that were logged and have left. */
async function begin(url: URL, { sessions, counts, events }: AdoptionOptions): Promise<LoadSession[]> {
  const connection = new Connection(url);
  const begun: LoadSession[] = [];
  for (let name = 0; name < sessions; name += 1) {
    const session = await LoadSession.open(url, name, connection, false);
    await session.listTools(connection);
    for (let count = 1; count <= counts; count += 1) await checkedCall(session, connection, "count", { value: count });
    if (events > 0) {
      const stream = await OpenStream.open(url, session);
      await session.ask(connection, "announce", { count: events, everyMs: 0 });
      await stream.arrived(events, eventsDeadlineMs);
      stream.close();
    }
    begun.push(session);
  }
  connection.close();
  return begun;
}

function adoptionMsIn(line: string): number | undefined {
  if (!line.includes('"session-adopted"')) return undefined;
  const { ms } = JSON.parse(line) as { ms?: unknown };
  return typeof ms === "number" ? ms : undefined;
}

function describeAdoption(report: AdoptionReport): string {
  const { options, firstCall, nextCall, adoption, untilFirstMs, failures, failed } = report;
  return [
    table([
      [`${options.sessions} sessions, one after another`, "p50 ms", "p99 ms", "max ms"],
      timesRow("first call, which adopts", firstCall),
      timesRow("  of it the adoption", adoption),
      timesRow("next call", nextCall),
    ]),
    `adoption at p50 ${adoption.p50.toFixed(2)} ms, aim < ${aimMs}: ${met(adoption.p50 < aimMs)}`,
    `from the end of the killed process to the first answer: ${untilFirstMs.toFixed(0)} ms`,
    `sessions that did not come back whole: ${failed}`,
    ...failures.map((failure) => `  ${failure}`),
  ].join("\n");
}
