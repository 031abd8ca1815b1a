import { outcome, outcomeText } from "./call-outcomes.ts";
import { type Call, type CallHost, CallStream, type Post } from "./call-stream.ts";
import type { Calls } from "./calls.ts";
import type { EventStream } from "./event-stream.ts";
import type { JsonRpcMessage } from "./json-rpc.ts";
import type { Ledger, PastCall } from "./ledger.ts";
import { messageExtra, type Origin } from "./message-extra.ts";
import { PostBody } from "./post-body.ts";
import { answerEnded, answerGone } from "./refusals.ts";
import { answerEvents, type ResponseSink, whenLeft } from "./response-sink.ts";
import { type Resumption, resumption } from "./resumption.ts";
import { type RetainedEvent, wire } from "./retained-events.ts";
import { callStreamName, type EventPlace } from "./sse.ts";
import type { EndReason } from "./transport-options.ts";
import type { MessageExtra } from "./transport-types.ts";

export interface CallStreamsParts {
  readonly host: CallHost;
  readonly epoch: number;
  readonly calls: Calls;
  readonly ledger: Ledger;
  deliver(message: JsonRpcMessage, extra: MessageExtra): void;
}

type InFlight = Resumption & { kind: "in-flight" };

/** How many finished call streams a session remembers, so that a late resume is answered rightly. */
const maxFinished = 256;

/** The call streams of a session: those that are open, and what is left to ask for of those that have ended. */
export class CallStreams {
  readonly #parts: CallStreamsParts;
  #begun = 0;
  /** Those whose clients may ask for the rest, by name, from the first on. */
  #named: Map<string, CallStream> | undefined;
  /** The number of the last event of each stream that has ended here, from the first on. Oldest first. */
  #finished: Map<string, number> | undefined;
  /** Connections whose answers wait for what was changed before to be written, from the first on. */
  #waiting: Set<ResponseSink> | undefined;

  constructor(parts: CallStreamsParts) {
    this.#parts = parts;
  }

  /** How many of them a connection carries now. */
  get connected(): number {
    let count = 0;
    for (const { events } of this.#named?.values() ?? []) if (events?.connected === true) count += 1;
    return count;
  }

  begin(post: Post): CallStream {
    const { host, epoch } = this.#parts;
    this.#begun += 1;
    return new CallStream(host, callStreamName(this.#begun, epoch), post);
  }

  /** It takes longer: its client may ask for the rest. */
  name(stream: CallStream): void {
    this.#named ??= new Map();
    this.#named.set(stream.name, stream);
  }

  ended({ name, events }: CallStream): void {
    if (events === undefined) return;
    this.#named?.delete(name);
    this.#finish(name, events.sequence);
  }

  /** The session has ended here: whoever waits asks where it goes on. */
  end(reason: EndReason): void {
    for (const sink of this.#waiting ?? []) answerEnded(sink, reason);
    this.#waiting = undefined;
  }

  /** Gives a connection the rest of a stream, from the event after `place`. */
  resume(sink: ResponseSink, place: EventPlace, origin: Origin): void {
    const events = this.#named?.get(place.stream)?.events;
    if (events === undefined) this.#resumePast(sink, place, origin);
    else if (!events.connect(sink, place.sequence)) answerGone(sink, place);
  }

  /** The stream has ended, here or with the node that began it. */
  #resumePast(sink: ResponseSink, place: EventPlace, origin: Origin): void {
    const { ledger } = this.#parts;
    const { ring, outbox } = this.#parts.host;
    const { stream, sequence } = place;
    const last = this.#finished?.get(stream);
    if (last !== undefined || !outbox.keeps) {
      const missed = last === undefined ? undefined : ring.after(stream, sequence, last);
      if (missed === undefined) answerGone(sink, place);
      else this.#answer(sink, stream, missed);
      return;
    }
    const found = resumption(ring.of(stream), ledger.orphansOf(stream), sequence);
    switch (found.kind) {
      case "gone":
        answerGone(sink, place);
        return;
      case "rest":
        this.#answer(sink, stream, found.events);
        return;
      case "in-flight":
        if (found.calls.some((call) => this.#canRunAgain(call))) this.#runAgain(sink, place, found, origin);
        else this.#tell(sink, stream, found);
    }
  }

  #finish(stream: string, sequence: number): void {
    this.#finished ??= new Map();
    this.#finished.set(stream, sequence);
    if (this.#finished.size <= maxFinished) return;
    const [oldest] = this.#finished.keys();
    this.#finished.delete(oldest as string);
  }

  #canRunAgain({ id, entry }: PastCall): boolean {
    return entry?.repeatable === true && entry.params !== undefined && !this.#parts.calls.has(id);
  }

  /** Runs calls again that were in flight when their node died; the connection gets the rest of their stream. */
  #runAgain(sink: ResponseSink, place: EventPlace, { sequence, calls: interrupted }: InFlight, origin: Origin): void {
    const { host, calls, ledger, deliver } = this.#parts;
    const hash = interrupted[0]?.entry?.hash ?? "";
    const stream = CallStream.resumed(host, place.stream, sequence, PostBody.ofHash(hash));
    this.name(stream);
    const again: Call[] = [];
    const told: Call[] = [];
    for (const past of interrupted) {
      const call = stream.add(past.request);
      call.entry = past.entry;
      ledger.takeUp(past);
      (this.#canRunAgain(past) ? again : told).push(call);
    }
    for (const call of again) calls.add(call);
    const events = stream.events as EventStream;
    // What lies between may never have been logged; what runs again sends it again.
    if (!events.connect(sink, place.sequence)) events.connect(sink, sequence);
    for (const { request } of told) stream.settle(outcomeText(request, outcome.nodeDied));
    const extra = messageExtra(origin);
    for (const { request } of again) deliver(request, extra);
  }

  /** Nobody knows what became of these calls, and none of them is run again: their client is told so. */
  #tell(sink: ResponseSink, stream: string, { events, sequence, calls }: InFlight): void {
    const { host } = this.#parts;
    const told = calls.map(({ request }, index): RetainedEvent => {
      const json = outcomeText(request, outcome.nodeDied);
      return { stream, sequence: sequence + 1 + index, json, at: host.now(), logged: false };
    });
    // Whoever loses this answer may ask again.
    for (const event of told) host.ring.add(event);
    this.#finish(stream, sequence + told.length);
    const answer = () => {
      this.#waiting?.delete(sink);
      this.#answer(sink, stream, [...events, ...told]);
    };
    this.#waiting ??= new Set();
    this.#waiting.add(sink);
    host.outbox.pass({ leave: answer, refuse: answer });
  }

  #answer(sink: ResponseSink, stream: string, events: readonly RetainedEvent[]): void {
    const { host, ledger } = this.#parts;
    if (sink.destroyed) return;
    if (events.length === 0) {
      // 204 tells a client that there is nothing more; an empty stream would make it ask again.
      sink.writeHead(204, []);
      sink.end();
    } else {
      answerEvents(sink, host.sessionId, events.map(wire).join(""));
    }
    if (host.outbox.keeps) whenLeft(sink, (whole) => whole && ledger.read(stream));
  }
}
