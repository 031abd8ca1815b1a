import { Connection } from "./connection.ts";
import { cpuMicrosOf } from "./cpu-time.ts";
import { judge } from "./mcp-answer.ts";
import type { Failure, LoadPlan, LoadProgress, LoadResult } from "./plan.ts";
import { LoadSession } from "./session.ts";
import { Tally } from "./tally.ts";

const progressEveryMs = 10_000;

/** One connection and the sessions that speak through it: no session has two calls under way. */
interface Lane {
  readonly connection: Connection;
  readonly sessions: LoadSession[];
}

/** Opens the sessions, warms up, measures, and ends the sessions. */
export async function runLoad(plan: LoadPlan, onProgress: (progress: LoadProgress) => void): Promise<LoadResult> {
  const url = new URL(plan.url);
  const lanes: Lane[] = Array.from({ length: plan.connections }, () => ({
    connection: new Connection(url),
    sessions: [],
  }));
  try {
    await openSessions(lanes, plan, url);
    const warmup = await phase(lanes, plan, Number.MAX_SAFE_INTEGER, plan.warmupMs);
    const cpuBefore = cpuTimes(plan);
    const began = performance.now();
    const measured = await phase(lanes, plan, plan.calls, plan.limitMs, onProgress);
    const seconds = (performance.now() - began) / 1_000;
    return {
      calls: measured.calls,
      seconds,
      p50Ms: measured.percentileMs(50),
      p99Ms: measured.percentileMs(99),
      maxMs: measured.maxMs,
      cpuMicros: cpuPerCall(cpuBefore, cpuTimes(plan), measured.calls),
      failures: sum(warmup.failures, measured.failures),
      samples: [...warmup.samples, ...measured.samples],
    };
  } finally {
    await closeLanes(lanes);
  }
}

async function openSessions(lanes: readonly Lane[], plan: LoadPlan, url: URL): Promise<void> {
  const elsewhere = plan.openAt === undefined ? undefined : new URL(plan.openAt);
  const opening = elsewhere && new Connection(elsewhere);
  for (let name = 0; name < plan.sessions; name += 1) {
    const { connection, sessions } = lanes[name % lanes.length] as Lane;
    sessions.push(await LoadSession.open(url, name, opening ?? connection, plan.same));
  }
  opening?.close();
}

async function closeLanes(lanes: readonly Lane[]): Promise<void> {
  await Promise.all(
    lanes.map(async ({ connection, sessions }) => {
      for (const session of sessions) await session.close(connection);
      connection.close();
    }),
  );
}

/** Keeps every lane busy until the calls are used up or the time is over. */
async function phase(
  lanes: readonly Lane[],
  { tool = "echo" }: LoadPlan,
  calls: number,
  limitMs: number,
  onProgress?: (progress: LoadProgress) => void,
): Promise<Tally> {
  const tally = new Tally();
  const began = performance.now();
  const end = began + limitMs;
  let left = calls;
  const timer = setInterval(() => {
    const seconds = (performance.now() - began) / 1_000;
    onProgress?.({ calls: tally.calls, seconds, failures: tally.failures });
  }, progressEveryMs);

  const drive = async ({ connection, sessions }: Lane): Promise<void> => {
    let turn = 0;
    while (left > 0 && !tally.hopeless) {
      const sentAt = performance.now();
      if (sentAt >= end) break;
      left -= 1;
      const call = (sessions[turn] as LoadSession).next(tool);
      turn = (turn + 1) % sessions.length;
      const exchange = await connection.exchange(call.request);
      const took = performance.now() - sentAt;
      switch (exchange.kind) {
        case "answer": {
          const verdict = judge(exchange.answer, call);
          if (verdict.ok) tally.answered(took);
          else tally.failed(verdict.failure, verdict.why);
          break;
        }
        case "cut": {
          const refused = exchange.status !== undefined && exchange.status !== 200;
          tally.failed(refused ? "refused" : "cut", `status ${exchange.status ?? "unread"}, ${exchange.why}`);
          break;
        }
        case "unanswered":
          tally.failed("unanswered", exchange.why);
          break;
        case "late":
          tally.failed("late", "no byte came for the deadline");
          break;
      }
    }
  };
  try {
    await Promise.all(lanes.map(drive));
  } finally {
    clearInterval(timer);
  }
  if (tally.hopeless) throw new Error(`the target no longer answers. The first failures: ${tally.samples.join("; ")}`);
  return tally;
}

type CpuTimes = Record<string, number | null>;

function cpuTimes(plan: LoadPlan): CpuTimes {
  const { user, system } = process.cpuUsage();
  const times: CpuTimes = { load: user + system };
  for (const [name, pids] of Object.entries(plan.processes)) times[name] = cpuMicrosOf(pids);
  return times;
}

function cpuPerCall(before: CpuTimes, after: CpuTimes, calls: number): CpuTimes {
  const each: CpuTimes = {};
  for (const [name, from] of Object.entries(before)) {
    const to = after[name] ?? null;
    each[name] = from === null || to === null || calls === 0 ? null : (to - from) / calls;
  }
  return each;
}

function sum(a: Record<Failure, number>, b: Record<Failure, number>): Record<Failure, number> {
  const both = { ...a };
  for (const failure of Object.keys(b) as Failure[]) both[failure] += b[failure];
  return both;
}
