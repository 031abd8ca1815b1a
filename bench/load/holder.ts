// Idle clients, in a process of their own: it opens sessions with a stream each when the bench says so, holds them, and
// ends with it.
import { setTimeout as sleep } from "node:timers/promises";
import { answerBench } from "./answer-bench.ts";
import { Connection } from "./connection.ts";
import { OpenStream } from "./open-stream.ts";
import { LoadSession } from "./session.ts";

/** What the bench asks for, one at a time. */
export type HolderRequest =
  | {
      readonly kind: "open";
      readonly url: string;
      readonly sessions: number;
      /** How many are opened in a second at most. */
      readonly perSecond: number;
      /** Tools that each of them calls once, with the name of a document. */
      readonly calls: readonly string[];
    }
  | { readonly kind: "count" };

export interface Held {
  readonly streams: number;
  /** How many of them ended by themselves, and why the first did. */
  readonly ended: number;
  readonly why: string | null;
  /** How often the stream that got the fewest was kept alive since it was last asked. */
  readonly leastKeepAlives: number;
}

export type HolderAnswer = { readonly kind: "opened" } | ({ readonly kind: "held" } & Held);

const streams: OpenStream[] = [];

/** One after another, as they come to a node in the course of a day; only quicker. */
async function open({ url: written, sessions, perSecond, calls }: HolderRequest & { kind: "open" }): Promise<void> {
  const url = new URL(written);
  const connection = new Connection(url);
  const began = performance.now();
  for (let opened = 0; opened < sessions; opened += 1) {
    const early = began + (opened / perSecond) * 1_000 - performance.now();
    if (early > 1) await sleep(early);
    const session = await LoadSession.open(url, streams.length, connection, false);
    for (const tool of calls) await session.ask(connection, tool, { document: "minutes" });
    streams.push(await OpenStream.open(url, session));
  }
  connection.close();
}

function held(): Held {
  const ended = streams.filter((stream) => stream.ended !== undefined);
  const leastKeepAlives = Math.min(...streams.map(({ keepAlives }) => keepAlives));
  for (const stream of streams) stream.keepAlives = 0;
  return {
    streams: streams.length,
    ended: ended.length,
    why: ended[0]?.ended ?? null,
    leastKeepAlives,
  };
}

async function answer(request: HolderRequest): Promise<HolderAnswer> {
  switch (request.kind) {
    case "open":
      await open(request);
      return { kind: "opened" };
    case "count":
      return { kind: "held", ...held() };
  }
}

answerBench(answer, () => `session ${streams.length + 1}`);
