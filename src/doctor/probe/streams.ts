import type { Opened } from "../endpoint.ts";
import { type Arrived, EventWatch } from "../event-watch.ts";
import type { IdleFacts, PacedEvents, ResumeFacts, SlowCall, StreamHead } from "../judge/streams.ts";
import { parseMessage } from "../message.ts";
import { readAnswer } from "../read-answer.ts";
import { describe, isAnswered, mediaType, type SeenFailure } from "../seen.ts";
import { insist, isMissedStream, type Session } from "../session.ts";
import { insisted } from "./yardstick.ts";

/** A stream, or why there is none. */
interface Listening {
  readonly head: StreamHead;
  readonly watch: EventWatch | undefined;
}

/** What the standalone stream and a call's stream brought. */
export interface StreamFacts {
  readonly head: StreamHead;
  readonly resume: ResumeFacts;
  /** Empty where the server has no tools to measure with. */
  readonly paced: readonly PacedEvents[];
}

/** How the doctor has yardstick send events. */
const announced = { count: 6, everyMs: 250, beforeHangUp: 3 };
const slept = { steps: 4, everyMs: 250 };
const patienceMs = 2_000;
/** For how long a first event is waited for, whose id a stream can go on from. */
const primingMs = 300;

/** Opens a stream; asks again where a node without the session was asked. */
async function listen(session: Session, lastEventId?: string): Promise<Listening> {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const opened = await insist(() => session.listen(headers), isMissedStream);
  return await listening(opened);
}

async function listening(opened: Opened | SeenFailure): Promise<Listening> {
  if (opened.kind === "failure") return { head: { kind: "failed", failure: opened.failure }, watch: undefined };
  if (opened.status === 200 && mediaType(opened) === "text/event-stream") {
    return {
      head: { kind: "open", headMs: opened.headMs },
      watch: new EventWatch(opened.body, opened.sentAt),
    };
  }
  if (opened.status === 405) {
    opened.body.destroy();
    return { head: { kind: "not-offered" }, watch: undefined };
  }
  const words = opened.body.destroyed ? `${opened.status}` : describe(await readAnswer(opened, undefined, patienceMs));
  return { head: { kind: "refused", words }, watch: undefined };
}

/** The session's standalone stream, hung up and gone on with; and a call that tells of its progress. */
export async function tryStreams(session: Session, yardstick: boolean): Promise<StreamFacts> {
  const { head, watch } = await listen(session);
  if (watch === undefined) {
    return { head, resume: { kind: "no-stream" }, paced: yardstick ? [await progress(session)] : [] };
  }
  try {
    if (!yardstick) return { head, resume: await reopen(session, watch), paced: [] };
    const [{ resume, paced }, call] = await Promise.all([announcements(session, watch), progress(session)]);
    return { head, resume, paced: [paced, call] };
  } finally {
    watch.close();
  }
}

async function announcements(
  session: Session,
  watch: EventWatch,
): Promise<{ resume: ResumeFacts; paced: PacedEvents }> {
  const { count, everyMs, beforeHangUp } = announced;
  await insisted(() => session.call("announce", { count, everyMs }));
  await watch.until(() => numbers(watch.items).length >= beforeHangUp, beforeHangUp * everyMs + patienceMs);
  const first = numbers(watch.items);
  const paced = {
    what: "a GET stream",
    everyMs,
    expected: beforeHangUp,
    arrivals: first.slice(0, beforeHangUp).map(({ atMs }) => atMs),
  };
  const last = first.at(-1);
  if (last === undefined) return { resume: { kind: "no-stream" }, paced };
  if (last.id === undefined) return { resume: { kind: "no-ids" }, paced };
  watch.close();
  const { head, watch: again } = await listen(session, last.id);
  if (again === undefined) return { resume: { kind: "refused", words: wordsOf(head) }, paced };
  const rest = count - first.length;
  await again.until(() => numbers(again.items).length >= rest, rest * everyMs + patienceMs);
  again.close();
  const after = numbers(again.items).map(({ n }) => n);
  return { resume: { kind: "events", before: first.map(({ n }) => n), after, sent: count }, paced };
}

/** Goes on with a stream that has given an id and nothing more. */
async function reopen(session: Session, watch: EventWatch): Promise<ResumeFacts> {
  const idOf = () => watch.items.findLast((item) => item.kind === "event" && item.id !== undefined);
  await watch.until(() => idOf() !== undefined, primingMs);
  const last = idOf();
  if (last?.kind !== "event" || last.id === undefined) return { kind: "no-ids" };
  watch.close();
  const { head, watch: again } = await listen(session, last.id);
  again?.close();
  return again === undefined ? { kind: "refused", words: wordsOf(head) } : { kind: "open" };
}

async function progress(session: Session): Promise<PacedEvents> {
  const { steps, everyMs } = slept;
  const seen = await insisted(() => session.call("sleep", { ms: steps * everyMs, steps }, { progressToken: "doctor" }));
  const items = seen.kind === "answer" ? seen.items : [];
  const arrivals = items
    .filter((item) => item.kind === "event" && parseMessage(item.data)?.method === "notifications/progress")
    .map(({ atMs }) => atMs);
  return { what: "a call's stream", everyMs, expected: steps, arrivals };
}

/** Leaves a stream alone for a while. Undefined where there was none. */
export async function watchIdle(session: Session, watchedMs: number): Promise<IdleFacts | undefined> {
  const { watch } = await listen(session);
  if (watch === undefined) return undefined;
  await watch.until(() => false, watchedMs);
  const { end } = watch;
  watch.close();
  return { watchedMs, items: watch.items, end };
}

/** A call during which nothing is sent. */
export async function callSlowly(session: Session, takesMs: number): Promise<SlowCall> {
  const seen = await insisted(() =>
    session.call("sleep", { ms: takesMs, steps: 0 }, { withinMs: takesMs + patienceMs * 2 }),
  );
  return { takesMs, answered: isAnswered(seen), words: describe(seen) };
}

/** The numbers of yardstick's announcements. */
function numbers(items: readonly Arrived[]): { n: number; atMs: number; id: string | undefined }[] {
  return items.flatMap((item) => {
    if (item.kind !== "event") return [];
    const message = parseMessage(item.data);
    const { n } = (message?.params?.data ?? {}) as { n?: unknown };
    return message?.method === "notifications/message" && typeof n === "number"
      ? [{ n, atMs: item.atMs, id: item.id }]
      : [];
  });
}

function wordsOf(head: StreamHead): string {
  switch (head.kind) {
    case "open":
      return "answered";
    case "not-offered":
      return "405";
    case "refused":
      return head.words;
    case "failed":
      return head.failure.message;
  }
}
