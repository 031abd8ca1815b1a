// Clients at work, in a process of their own: many sessions, of which one after another calls at an even pace, whether
// or not the calls before it are answered. It begins when the bench says so, and ends with it.
import { answerBench } from "./answer-bench.ts";
import { Connection } from "./connection.ts";
import { judge } from "./mcp-answer.ts";
import { LoadSession } from "./session.ts";

/** What the bench asks for, one at a time. */
export type CallersRequest =
  | {
      readonly kind: "begin";
      readonly url: string;
      readonly sessions: number;
      /** Of all sessions together. */
      readonly callsPerSecond: number;
    }
  /** The calls that were answered since this was last asked. */
  | { readonly kind: "calls" };

export interface Calls {
  /** Milliseconds that each call took, in no order. */
  readonly tookMs: readonly number[];
  readonly failed: number;
  /** The first failures in words. */
  readonly samples: readonly string[];
}

export type CallersAnswer = { readonly kind: "begun" } | ({ readonly kind: "calls" } & Calls);

const everyMs = 5;
const maxSamples = 5;

const sessions: LoadSession[] = [];
/** Sessions that have a call under way: one that waits sends no other. */
const waiting = new Set<LoadSession>();
const free: Connection[] = [];
let tookMs: number[] = [];
let failed = 0;
let samples: string[] = [];

async function begin({ url: written, sessions: wanted, callsPerSecond }: CallersRequest & { kind: "begin" }) {
  const url = new URL(written);
  const connect = () => new Connection(url);
  const opening = connect();
  while (sessions.length < wanted) sessions.push(await LoadSession.open(url, sessions.length, opening, false));
  free.push(opening);
  const began = performance.now();
  let sent = 0;
  setInterval(() => {
    for (const due = ((performance.now() - began) / 1_000) * callsPerSecond; sent < due; sent += 1) {
      const session = sessions[sent % sessions.length] as LoadSession;
      if (!waiting.has(session)) void call(session, free.pop() ?? connect());
    }
  }, everyMs);
}

async function call(session: LoadSession, connection: Connection): Promise<void> {
  waiting.add(session);
  const wanted = session.next("count");
  const sentAt = performance.now();
  const exchange = await connection.exchange(wanted.request);
  const took = performance.now() - sentAt;
  waiting.delete(session);
  free.push(connection);
  const verdict = exchange.kind === "answer" ? judge(exchange.answer, wanted) : undefined;
  if (verdict?.ok === true) tookMs.push(took);
  else {
    failed += 1;
    if (samples.length < maxSamples) samples.push(verdict?.why ?? JSON.stringify(exchange));
  }
}

async function answer(request: CallersRequest): Promise<CallersAnswer> {
  switch (request.kind) {
    case "begin":
      await begin(request);
      return { kind: "begun" };
    case "calls": {
      const calls: CallersAnswer = { kind: "calls", tookMs, failed, samples };
      tookMs = [];
      failed = 0;
      samples = [];
      return calls;
    }
  }
}

answerBench(answer, () => `session ${sessions.length + 1}`);
