import type { HoldBack } from "./hold-back.ts";
import type { KeepAlive, KeptAlive } from "./keep-alive.ts";
import type { Departure, Outbox } from "./outbox.ts";
import { type ResponseSink, sseHead } from "./response-sink.ts";
import { type EventRing, type RetainedEvent, wire } from "./retained-events.ts";
import { eventId, keepAliveComment, primingEvent, retryAfter } from "./sse.ts";
import type { Unwritten } from "./unwritten.ts";

/** What the streams of one session share. */
export interface StreamHost {
  readonly sessionId: string;
  /** Whether the client can parse a priming event: protocol 2025-11-25 and later. */
  readonly canBePrimed: boolean;
  readonly ring: EventRing;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  readonly outbox: Outbox;
  readonly unwritten: Unwritten;
  now(): number;
  /** A client reads more slowly than the server writes; its stream was ended, to be resumed. */
  overflowed(stream: string): void;
}

/** Where a stream goes on that began on another node. */
export interface StreamStart {
  /** The number of its newest event. */
  readonly sequence: number;
  /** The number of the newest event that some connection has carried. */
  readonly carried: number;
}

/** After how many milliseconds a client asks again when its stream ends. Clients try only twice. */
const retryMs = 1_000;

/** The same for the standalone stream of a session that moves, or whose node stops: not all clients ask in one moment. */
const movedRetryMs = 5_000;

/** How many bytes may wait for a client that doesn't read. */
const maxUnreadBytes = 1024 * 1024;

/**
 * One logical stream of events. It outlives the connections that carry it: events are numbered and retained, and a
 * client that comes back with Last-Event-ID goes on where it stopped. What of it is in the session's log outlives the
 * node, too.
 */
export class EventStream implements KeptAlive, Departure {
  readonly name: string;
  readonly #host: StreamHost;
  #isLogged: boolean;
  #sink: ResponseSink | undefined;
  /** The number of the newest event. */
  #sequence: number;
  /** The number of the newest event that may leave: everything that was changed before it is written. */
  #released: number;
  /** The number of the newest event that was written to some connection. */
  #written: number;
  /** Events that may not leave yet, oldest first. */
  readonly #held: RetainedEvent[] = [];

  constructor(host: StreamHost, name: string, isLogged: boolean, start: StreamStart = { sequence: 0, carried: 0 }) {
    this.#host = host;
    this.name = name;
    this.#isLogged = isLogged;
    this.#sequence = start.sequence;
    this.#released = start.sequence;
    this.#written = start.carried;
  }

  get connected(): boolean {
    return this.#sink !== undefined;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get released(): number {
    return this.#released;
  }

  get written(): number {
    return this.#written;
  }

  /**
   * Lets a connection carry the stream from the event after `after`; one that carried it before is ended. Gives false,
   * and writes nothing, when events after it are no longer retained, or none with its number has left.
   */
  connect(sink: ResponseSink, after: number): boolean {
    // Its client is gone already: what nobody reads must not count as written.
    if (sink.destroyed) return true;
    const missed = this.#host.ring.after(this.name, after, this.#released);
    if (missed === undefined) return false;
    this.disconnect();
    sink.writeHead(200, sseHead(this.#host.sessionId));
    // A resumed stream needs an event with an id too: clients ask again with the last id of the connection they lost.
    const text = this.#priming(after) + missed.map(wire).join("");
    if (text === "") sink.flushHeaders();
    else sink.write(text);
    this.#written = this.#released;
    this.#carry(sink);
    return true;
  }

  /** Sends a message: retained first, then written to the connection, if there is one, as soon as it may leave. */
  send(json: string): void {
    this.add(json);
    this.#host.outbox.pass(this);
  }

  /** Sends a message, unless the same one still waits for a connection to carry it. */
  sendOnce(json: string): void {
    const waits = ({ sequence, json: waiting }: RetainedEvent) => sequence > this.#written && waiting === json;
    if (!this.#host.ring.of(this.name).some(waits)) this.send(json);
  }

  /** Numbers and retains a message, which {@link leave} lets leave. */
  add(json: string): void {
    const event = { stream: this.name, sequence: ++this.#sequence, json, at: this.#host.now(), logged: false };
    if (this.#isLogged) this.#host.unwritten.event(event);
    this.#host.ring.add(event);
    this.#held.push(event);
  }

  /** The oldest event that was held may leave. */
  leave(): void {
    const event = this.#held.shift();
    if (event === undefined) return;
    this.#released = event.sequence;
    const sink = this.#sink;
    if (sink === undefined) return;
    // Asked before the message is added: one large message is no sign of a client that doesn't read.
    if (sink.writableLength > maxUnreadBytes) {
      this.#giveUp(sink);
      return;
    }
    this.#written = event.sequence;
    sink.write(wire(event));
  }

  /** The oldest event that is held. */
  get next(): string | undefined {
    return this.#held[0]?.json;
  }

  /** Puts another message in its place. */
  replaceNext(json: string): void {
    const [event] = this.#held;
    if (event !== undefined) this.#host.ring.replace(event, json);
  }

  /** From now on, with what is retained of it, the stream is in the session's log. */
  log(): void {
    if (this.#isLogged) return;
    this.#isLogged = true;
    for (const event of this.#host.ring.of(this.name)) this.#host.unwritten.event(event);
  }

  keepAlive(): void {
    if (this.#sink?.writableLength === 0) this.#sink.write(keepAliveComment);
  }

  /**
   * Ends the connection gracefully, and gives it, unless its client is gone. The stream goes on: the client may ask for
   * the rest.
   */
  disconnect(): ResponseSink | undefined {
    const sink = this.#sink;
    const isGone = sink?.destroyed === true;
    this.#release();
    sink?.end();
    return isGone ? undefined : sink;
  }

  /** Ends the connection gracefully: the stream goes on elsewhere, and its client is told when to ask again. */
  moved(): void {
    const sink = this.#sink;
    this.#release();
    if (sink?.destroyed === false) sink.end(retryAfter(Math.round(movedRetryMs * (0.7 + 0.6 * Math.random()))));
  }

  /** Ends the connection with these last words, which nobody can ask for again. */
  end(text: string): void {
    const sink = this.#sink;
    this.#release();
    sink?.end(text);
  }

  #priming(after: number): string {
    return this.#host.canBePrimed ? primingEvent(eventId(this.name, after), retryMs) : "";
  }

  #carry(sink: ResponseSink): void {
    this.#sink = sink;
    this.#host.keepAlive.add(this);
    sink.once("close", () => {
      if (this.#sink === sink) this.#release();
    });
  }

  #release(): void {
    this.#sink = undefined;
    this.#host.keepAlive.remove(this);
  }

  /** A client that doesn't read gets what was written so far, then the end; it can ask for the rest by event id. */
  #giveUp(sink: ResponseSink): void {
    this.#release();
    sink.end();
    this.#host.overflowed(this.name);
  }
}
