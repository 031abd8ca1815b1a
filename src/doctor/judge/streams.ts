import { failed, type Judgement, notRun, ok, warning } from "../check.ts";
import type { Arrived, StreamEnd } from "../event-watch.ts";
import type { Failure } from "../failure.ts";

/** How the standalone stream began, or why it did not. */
export type StreamHead =
  | { readonly kind: "open"; readonly headMs: number }
  | { readonly kind: "not-offered" }
  | { readonly kind: "refused"; readonly words: string }
  | { readonly kind: "failed"; readonly failure: Failure };

/** How long a stream's head may take. */
const headWithinMs = 2_000;

const heldBack =
  "Something on the way holds the stream back. Clients never see progress, notifications or questions of the server, or see them all at the end; some give up the stream.";

export function judgeStreamHead(head: StreamHead): Judgement {
  switch (head.kind) {
    case "open": {
      const ms = Math.round(head.headMs);
      if (head.headMs <= headWithinMs) return ok(`its head came after ${ms} ms`);
      return failed("buffering", `The head of a GET stream came only after ${ms} ms.`, heldBack);
    }
    case "not-offered":
      return notRun("the server offers no stream of its own (405), which it may");
    case "refused":
      return failed("no-answer", `A GET for a stream: ${head.words}.`, "Clients get no notifications.");
    case "failed":
      if (head.failure.code === "timeout") {
        return failed("buffering", `The head of a GET stream did not come: ${head.failure.message}.`, heldBack);
      }
      return failed("no-answer", `A GET for a stream: ${head.failure.message}.`, "Clients get no notifications.");
  }
}

/** When events came that were sent at an even pace. */
export interface PacedEvents {
  readonly what: string;
  readonly everyMs: number;
  readonly expected: number;
  /** Milliseconds after the request. */
  readonly arrivals: readonly number[];
}

export function judgeEvents(streams: readonly PacedEvents[]): Judgement {
  for (const { what, everyMs, expected, arrivals } of streams) {
    const [first] = arrivals;
    const last = arrivals.at(-1);
    if (first === undefined || last === undefined || arrivals.length < expected) {
      const came = arrivals.length === 0 ? "none" : `${arrivals.length}`;
      return failed("buffering", `Of ${expected} events of ${what}, one each ${everyMs} ms, ${came} came.`, heldBack);
    }
    // Half of the time that they should take: what is held back comes in one go.
    if (last - first < ((expected - 1) * everyMs) / 2) {
      const span = Math.round(last - first);
      const seen = `${expected} events of ${what}, sent one each ${everyMs} ms, came within ${span} ms of each other.`;
      return failed("buffering", seen, heldBack);
    }
  }
  return ok(streams.map(({ what, expected, everyMs }) => `${expected} of ${what}, one each ${everyMs} ms`).join("; "));
}

export interface StreamEncoding {
  readonly method: string;
  readonly encoding: string | undefined;
}

export function judgeCompression(streams: readonly StreamEncoding[]): Judgement {
  if (streams.length === 0) return notRun("no answer was an event stream");
  const compressed = streams.filter(({ encoding }) => encoding !== undefined && encoding !== "identity");
  const [first] = compressed;
  if (first === undefined) return ok(`${streams.length} streams looked at`);
  return failed(
    "compression",
    `text/event-stream with Content-Encoding: ${first.encoding} (${compressed.length} of ${streams.length}).`,
    "A compressor waits for enough data to fill a block, so that small events stay in it; it does so for each client that accepts compression, and Node's fetch does.",
  );
}

/** What became of a stream on which the doctor asked for nothing. */
export interface IdleFacts {
  readonly watchedMs: number;
  readonly items: readonly Arrived[];
  readonly end: StreamEnd;
}

export function judgeIdleStream({ watchedMs, items, end }: IdleFacts): Judgement {
  const watched = seconds(watchedMs);
  if (end.kind === "open") {
    const comments = items.filter(({ kind }) => kind === "comment").length;
    if (comments > 0) return ok(`open after ${watched}, with signs of life in between`);
    return ok(`open after ${watched}, without a sign of life; --thorough watches for longer`);
  }
  const after = seconds(end.atMs - (items.at(-1)?.atMs ?? 0));
  const canResume = items.some((item) => item.kind === "event" && item.id !== undefined);
  if (end.kind === "ended" && canResume) {
    return warning(
      "idle",
      `The stream was ended after ${after}, with an id to go on from.`,
      "Clients open it again, most of them only twice before they give it up.",
    );
  }
  return failed(
    "idle",
    `The stream was ${end.kind === "cut" ? "cut" : "ended"} after ${after} without traffic.`,
    "Clients miss every notification after that: the Python SDK tries again twice, the TypeScript SDKs twice, then the stream is gone for the rest of the session.",
  );
}

/** What became of a call that takes its time, and says nothing meanwhile. */
export interface SlowCall {
  readonly takesMs: number;
  readonly answered: boolean;
  readonly words: string;
}

export function judgeSlowCall({ takesMs, answered, words }: SlowCall): Judgement {
  const takes = seconds(takesMs);
  if (answered) return ok(`a call of ${takes}`);
  return failed(
    "idle",
    `A call that takes ${takes} was not answered: ${words}.`,
    "Clients see a failed call, or wait for ever; the tool has run nevertheless.",
  );
}

/** What a stream brought that went on from an id. */
export type ResumeFacts =
  | { readonly kind: "no-ids" }
  | { readonly kind: "no-stream" }
  | { readonly kind: "refused"; readonly words: string }
  | { readonly kind: "open" }
  | {
      readonly kind: "events";
      readonly before: readonly number[];
      readonly after: readonly number[];
      readonly sent: number;
    };

const lostEvents =
  "Connections end all the time: laptops sleep, proxies restart. Clients ask again with Last-Event-ID and rely on it.";

export function judgeResume(facts: ResumeFacts): Judgement {
  switch (facts.kind) {
    case "no-ids":
      return notRun("the server gives its events no ids, which it may");
    case "no-stream":
      return notRun("there was no stream to go on with");
    case "refused":
      return failed("resume", `A GET with Last-Event-ID: ${facts.words}.`, lostEvents);
    case "open":
      return ok("a stream was opened again at its id");
    case "events": {
      const wanted = Array.from({ length: facts.sent }, (_, index) => index + 1);
      const got = [...facts.before, ...facts.after];
      if (got.join() === wanted.join()) return ok(`${facts.sent} events over two connections, each once`);
      return failed(
        "resume",
        `Of the events 1 to ${facts.sent} came ${facts.before.join(", ") || "none"} on the first connection, and ${facts.after.join(", ") || "none"} after Last-Event-ID.`,
        lostEvents,
      );
    }
  }
}

function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}
