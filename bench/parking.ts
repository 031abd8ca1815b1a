import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { checkedCall, warmUp } from "./checked-calls.ts";
import type { Children } from "./children.ts";
import { Connection } from "./load/connection.ts";
import { LoadSession } from "./load/session.ts";
import { type Machine, machine, met, table, timesRow } from "./report.ts";
import { type Percentiles, percentiles } from "./statistics.ts";
import type { ProcessSecond } from "./subjects/process-watch.ts";
import { startRegistry } from "./subjects/valkey.ts";
import { startWatched, type WatchedNode, worstOf } from "./watched-node.ts";

export interface ParkingOptions {
  readonly sessions: number;
  /** How many of them are called all the time, and so stay. */
  readonly used: number;
  /** How many of those that are parked are called again. */
  readonly back: number;
  /** After how long without use a session is parked: longer than it takes to open them all. */
  readonly parkAfterSeconds: number;
  /** How long the node goes on serving before its memory is looked at: the garbage collector comes by itself. */
  readonly settleSeconds: number;
}

/** MiB. */
export interface Memory {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

export interface ParkingReport {
  readonly bench: "parking";
  readonly machine: Machine;
  readonly options: ParkingOptions;
  /** Of the node: before any session, with all of them in memory, and when all but the used ones had been parked. */
  readonly empty: Memory;
  readonly full: Memory;
  readonly parked: Memory;
  /** From the first session that was parked to the last. */
  readonly parkingSeconds: number;
  /** Milliseconds: calls of the used sessions before any was parked, and meanwhile. */
  readonly usedBefore: Percentiles;
  readonly usedMeanwhile: Percentiles;
  /** The longest that the node's event loop was held up meanwhile: milliseconds. */
  readonly delayMs: number;
  /** Milliseconds: what a client sees of the first call of a parked session, and of the second. */
  readonly firstCall: Percentiles;
  readonly nextCall: Percentiles;
  /** Milliseconds: the restoring alone, as the node logs it. */
  readonly unparking: Percentiles;
  /** The first sessions that did not come back whole, in words. */
  readonly failures: readonly string[];
  readonly failed: number;
}

const aimMs = 5;
const maxSamples = 5;
/** How often each used session is called. */
const usedEveryMs = 1_000;
/** A parked session is found within a tenth of the time after which it is; and then its turn has to come. */
const parkingDeadlineMs = 120_000;

/** A node that holds many sessions of which few are used: its memory before and after the others are parked. */
export const parkingBench: Bench<ParkingOptions, ParkingReport> = {
  run: benchParking,
  describe: describeParking,
  isGood: ({ failed }) => failed === 0,
};

async function benchParking(children: Children, options: ParkingOptions): Promise<ParkingReport> {
  if (options.used >= options.sessions) throw new Error("--used must be less than --sessions.");
  const node = await startParking(children, options.parkAfterSeconds);
  const url = new URL(`${node.url}/mcp`);
  const connection = new Connection(url);
  await warmUp(url, connection, "count");
  const empty = await node.memory();

  say(`${options.sessions} sessions open …`);
  const sessions: LoadSession[] = [];
  for (let name = 0; name < options.sessions; name += 1) {
    const session = await LoadSession.open(url, name, connection, false);
    await checkedCall(session, connection, "count", { value: 1 });
    sessions.push(session);
  }
  const used = new UsedSessions(url, sessions.splice(0, options.used));
  used.start();
  const full = await node.memory();
  if (node.parkedAt.length > 0) {
    throw new Error(
      `sessions were parked before all of them were open. Raise --park-after-seconds (${options.parkAfterSeconds}), or lower --sessions.`,
    );
  }

  say(`${full.rss.toFixed(0)} MiB RSS; now idle until all but ${options.used} are parked …`);
  const usedBefore = used.take();
  const from = node.seconds.length;
  await node.untilParked(sessions.length, options.parkAfterSeconds * 1_000 * 1.1 + parkingDeadlineMs);
  const { delayMs } = worstOf(node.seconds.slice(from));
  const usedMeanwhile = used.take();
  const [first = 0] = node.parkedAt;
  const parkingSeconds = ((node.parkedAt.at(-1) ?? 0) - first) / 1_000;

  say(`… which took ${parkingSeconds.toFixed(1)} s; its memory after ${options.settleSeconds} s more …`);
  await sleep(options.settleSeconds * 1_000);
  const parked = await node.memory();

  const firstCall: number[] = [];
  const nextCall: number[] = [];
  const failures: string[] = used.failures;
  for (const [index, session] of sessions.slice(0, options.back).entries()) {
    try {
      firstCall.push(await checkedCall(session, connection, "count", { value: 2 }));
      nextCall.push(await checkedCall(session, connection, "count", { value: 3 }));
    } catch (error) {
      failures.push(`session ${index + 1}: ${(error as Error).message}`);
    }
  }
  await used.stop();
  connection.close();
  return {
    ...{ bench: "parking", machine: machine(), options, empty, full, parked, parkingSeconds, delayMs },
    ...{ usedBefore: percentiles(usedBefore), usedMeanwhile: percentiles(usedMeanwhile) },
    ...{ firstCall: percentiles(firstCall), nextCall: percentiles(nextCall), unparking: percentiles(node.unparked) },
    ...{ failures: failures.slice(0, maxSamples), failed: failures.length },
  };
}

/** A node that parks its idle sessions. */
interface ParkingNode extends WatchedNode {
  /** When each session was parked. */
  readonly parkedAt: readonly number[];
  /** How long the node says that each took to come back: milliseconds. */
  readonly unparked: readonly number[];
  /** As it is in the next second. */
  memory(): Promise<Memory>;
  untilParked(count: number, deadlineMs: number): Promise<void>;
}

async function startParking(children: Children, parkAfterSeconds: number): Promise<ParkingNode> {
  const valkey = await startRegistry(children);
  const parkedAt: number[] = [];
  const unparked: number[] = [];
  const node = await startWatched(children, {
    name: "bench",
    redis: valkey.url,
    options: ["--park-after", `${parkAfterSeconds}s`],
    onLog: (line) => {
      if (line.includes('"session-parked"')) parkedAt.push(performance.now());
      if (line.includes('"session-unparked"')) unparked.push((JSON.parse(line) as { ms: number }).ms);
    },
  });
  const until = async (isSo: () => boolean, deadlineMs: number, what: string): Promise<void> => {
    const deadline = performance.now() + deadlineMs;
    while (!isSo()) {
      if (performance.now() > deadline) throw new Error(`${what} within ${deadlineMs / 1_000} s`);
      await sleep(20);
    }
  };
  return {
    ...node,
    parkedAt,
    unparked,
    async memory() {
      const next = node.seconds.length + 1;
      await until(() => node.seconds.length > next, 10_000, "the node did not tell how much memory it has");
      const { rssBytes, heapBytes, externalBytes } = node.seconds[next] as ProcessSecond;
      const mib = (bytes: number) => bytes / 1_024 / 1_024;
      return { rss: mib(rssBytes), heap: mib(heapBytes), external: mib(externalBytes) };
    },
    untilParked: (count, deadlineMs) =>
      until(() => parkedAt.length >= count, deadlineMs, `not all of ${count} sessions were parked`),
  };
}

/** Sessions that are called again and again, over a connection of their own. */
class UsedSessions {
  readonly failures: string[] = [];
  readonly #connection: Connection;
  readonly #sessions: readonly LoadSession[];
  #ms: number[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(url: URL, sessions: readonly LoadSession[]) {
    this.#connection = new Connection(url);
    this.#sessions = sessions;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** How long each call took since this was asked last: milliseconds. */
  take(): readonly number[] {
    const ms = this.#ms;
    this.#ms = [];
    return ms;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#connection.close();
  }

  async #run(): Promise<void> {
    for (let value = 2; !this.#stopped; value += 1) {
      for (const [index, session] of this.#sessions.entries()) {
        if (this.#stopped) return;
        try {
          this.#ms.push(await checkedCall(session, this.#connection, "count", { value }));
        } catch (error) {
          this.failures.push(`used session ${index + 1}: ${(error as Error).message}`);
        }
        await sleep(usedEveryMs / this.#sessions.length);
      }
    }
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function describeParking(report: ParkingReport): string {
  const { options, empty, full, parked, firstCall, delayMs, failures, failed } = report;
  const { sessions, used, back, settleSeconds } = options;
  const memoryRow = (name: string, { rss, heap, external }: Memory) => [
    name,
    ...[rss, heap, external].map((mib) => mib.toFixed(1)),
  ];
  return [
    table([
      ["MiB of the node", "RSS", "heap", "outside the heap"],
      memoryRow("without sessions", empty),
      memoryRow(`with ${sessions} sessions`, full),
      memoryRow(`all but ${used} parked, ${settleSeconds} s later`, parked),
    ]),
    "",
    table([
      ["ms", "p50", "p99", "max"],
      timesRow(`first call of a parked session, of ${back}`, firstCall),
      timesRow("  of it the restoring", report.unparking),
      timesRow("its next call", report.nextCall),
      timesRow("calls of used sessions, before", report.usedBefore),
      timesRow("  while the others are parked", report.usedMeanwhile),
    ]),
    "",
    `first call at p50 ${firstCall.p50.toFixed(2)} ms, aim < ${aimMs}: ${met(firstCall.p50 < aimMs)}`,
    `parking took ${report.parkingSeconds.toFixed(1)} s, and held the event loop up for ${delayMs.toFixed(1)} ms at most`,
    `sessions that did not come back whole: ${failed}`,
    ...failures.map((failure) => `  ${failure}`),
  ].join("\n");
}
