import type { Cluster } from "../cluster/harness.ts";
import { call, listTools } from "../support/raw-mcp.ts";
import { FollowedStream } from "./followed-stream.ts";
import { PythonClients, type PythonSession } from "./python-sessions.ts";
import { SdkClient } from "./sdk-client.ts";
import { type Outcome, WorkingSession } from "./working-session.ts";

export interface WorkOptions {
  /** Clients without cookies that try nothing twice: each counts and echoes, one call after another. */
  readonly sessions: number;
  /** So many of them have an open stream, on which numbers are announced. */
  readonly streams: number;
  /** Unmodified clients of each TypeScript SDK, with streams of their own. */
  readonly sdkClients: number;
  /** Unmodified clients of each Python SDK, likewise. */
  readonly pythonClients: number;
  /** Between two calls of a client: milliseconds. */
  readonly pauseMs: number;
  /** Between two numbers on a stream: milliseconds. */
  readonly everyMs: number;
}

/** Clients that begin in one moment. */
const atOnce = 20;

/** Many clients of a cluster at work through its edge. */
export class ClientsAtWork {
  readonly sessions: WorkingSession[] = [];
  readonly streams: FollowedStream[] = [];
  readonly sdkClients: SdkClient[] = [];
  readonly pythonSessions: PythonSession[] = [];
  readonly #pythons: PythonClients[] = [];

  static async start({ mcp }: Cluster, options: WorkOptions): Promise<ClientsAtWork> {
    const clients = new ClientsAtWork();
    const { sessions, streams, sdkClients, pythonClients, pauseMs, everyMs } = options;
    await inBatches(sessions, async () => {
      clients.sessions.push(await WorkingSession.start(mcp, pauseMs, true));
    });
    await inBatches(streams, async (index) => {
      const { id } = clients.sessions[index] as WorkingSession;
      clients.streams.push(await FollowedStream.open(mcp, id));
      await listTools(mcp, id);
      await call(mcp, id, "announce", { count: 1_000_000, everyMs }, "announce");
    });
    await inBatches(2 * sdkClients, async (index) => {
      clients.sdkClients.push(await SdkClient.start(index % 2 === 0 ? "v1" : "v2", mcp, everyMs, pauseMs));
    });
    for (const sdk of ["1.29.0", "2.3.0"] as const) {
      const python = await PythonClients.start(sdk, mcp);
      clients.#pythons.push(python);
      for (let count = 0; count < pythonClients; count += 1)
        clients.pythonSessions.push(await python.open("count", { announce: true }));
    }
    return clients;
  }

  /** The ids of all their sessions. */
  get ids(): string[] {
    const ids = [...this.sessions, ...this.pythonSessions].map(({ id }) => id);
    return [...ids, ...this.sdkClients.map(({ session }) => session)];
  }

  /** What came of the calls of the clients without an SDK that were sent since a moment. */
  callsSince(moment: number): Outcome[] {
    const all = this.sessions.flatMap(({ outcomes, echoes }) => [...outcomes, ...echoes]);
    return all.filter(({ sentAt }) => sentAt >= moment);
  }

  /** When the streams of the clients without an SDK were asked for again. */
  get reconnectedAt(): number[] {
    return this.streams.flatMap(({ reconnectedAt }) => reconnectedAt);
  }

  /** Calls a tool of a Python client's session, beside its other calls. */
  async callOfPython(session: PythonSession, tool: string): ReturnType<PythonClients["call"]> {
    const python = this.#pythons.find(({ sdk }) => sdk === session.sdk) as PythonClients;
    return await python.call(session, tool);
  }

  /** Waits until each stream has brought another number, by whatever connection. */
  async streamsGoOn(cluster: Cluster, deadline: number): Promise<void> {
    const all = [...this.streams, ...this.sdkClients].map(({ numbers }) => numbers);
    all.push(...this.pythonSessions.map(({ heard }) => heard));
    const before = all.map(({ length }) => length);
    await cluster.waitFor(() => all.every(({ length }, index) => length > (before[index] as number)), {
      deadline,
      what: `another number on each stream; ${this.faults().slice(0, 5).join("; ")}`,
    });
  }

  /** Ends the calls, when those under way have their answers. */
  async stopCalls(): Promise<void> {
    await Promise.all([...this.sessions, ...this.sdkClients].map((client) => client.stop()));
    await Promise.all(this.#pythons.map((python) => python.rest()));
  }

  async close(): Promise<void> {
    for (const stream of this.streams) stream.close();
    await Promise.all(this.sdkClients.map((client) => client.close()));
    await Promise.all(this.sessions.map((session) => session.stop()));
    await Promise.all(this.#pythons.map((python) => python.stop()));
  }

  /**
   * What any client has noticed of whatever has happened: calls that failed, sessions that are gone, streams that could
   * not go on, and numbers and counts other than 1, 2, 3 and so on.
   */
  faults(): string[] {
    const numbered = [...this.streams, ...this.sdkClients].map(({ session, numbers }) => ({ session, numbers }));
    const counted = this.sdkClients.map(({ session, counted: numbers }) => ({ session, numbers }));
    for (const { id, acknowledged } of this.sessions) counted.push({ session: id, numbers: acknowledged });
    return [
      ...this.sessions.flatMap(({ id, failures }) => failures.map(({ status, error }) => `${id}: ${status} ${error}`)),
      ...this.streams.flatMap(({ faults }) => faults),
      ...this.sdkClients.flatMap(({ failures }) => failures),
      ...this.pythonSessions.flatMap((session) => [
        ...session.faults(),
        ...[...session.failures, ...session.clientEnds].map(({ error }) => `${session.name} ${session.id}: ${error}`),
      ]),
      ...numbered.flatMap(({ session, numbers }) => misnumbered(`${session}, announced`, numbers)),
      ...counted.flatMap(({ session, numbers }) => misnumbered(`${session}, counted`, numbers)),
    ];
  }
}

function misnumbered(what: string, numbers: readonly number[]): string[] {
  const wrong = numbers.findIndex((number, index) => number !== index + 1);
  return wrong < 0 ? [] : [`${what}: ${numbers.slice(Math.max(0, wrong - 3), wrong + 3).join()}`];
}

async function inBatches(count: number, act: (index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, count - from) }, (_, index) => act(from + index)));
  }
}
