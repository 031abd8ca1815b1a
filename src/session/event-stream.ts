import type { HoldBack } from "./hold-back.ts";
import type { KeepAlive, KeptAlive } from "./keep-alive.ts";
import { type ResponseSink, sseHead } from "./response-sink.ts";
import { type EventRing, wire } from "./retained-events.ts";
import { eventId, keepAliveComment, primingEvent } from "./sse.ts";

/** What the streams of one session share. */
export interface StreamHost {
  readonly sessionId: string;
  /** Whether the client can parse a priming event: protocol 2025-11-25 and later. */
  readonly canBePrimed: boolean;
  readonly ring: EventRing;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  now(): number;
  /** A client reads more slowly than the server writes; its stream was ended, to be resumed. */
  overflowed(stream: string): void;
}

/** After how many milliseconds a client asks again when its stream ends. Clients try only twice. */
const retryMs = 1_000;

/** How many bytes may wait for a client that doesn't read. */
const maxUnreadBytes = 1024 * 1024;

/**
 * One logical stream of events. It outlives the connections that carry it: events are numbered and retained, and a
 * client that comes back with Last-Event-ID goes on where it stopped.
 */
export class EventStream implements KeptAlive {
  readonly name: string;
  readonly #host: StreamHost;
  #sink: ResponseSink | undefined;
  /** The number of the newest event. */
  #sequence = 0;
  /** The number of the newest event that was written to some connection. */
  #written = 0;

  constructor(host: StreamHost, name: string) {
    this.#host = host;
    this.name = name;
  }

  get connected(): boolean {
    return this.#sink !== undefined;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get written(): number {
    return this.#written;
  }

  /**
   * Lets a connection carry the stream from the event after `after`; one that carried it before is ended. Gives false,
   * and writes nothing, when events after it are no longer retained.
   */
  connect(sink: ResponseSink, after: number): boolean {
    // Its client is gone already: what nobody reads must not count as written.
    if (sink.destroyed) return true;
    const missed = this.#host.ring.after(this.name, after, this.#sequence);
    if (missed === undefined) return false;
    this.disconnect();
    sink.writeHead(200, sseHead(this.#host.sessionId));
    // A resumed stream needs an event with an id too: clients ask again with the last id of the connection they lost.
    const text = this.#priming(after) + missed.map(wire).join("");
    if (text === "") sink.flushHeaders();
    else sink.write(text);
    this.#written = this.#sequence;
    this.#carry(sink);
    return true;
  }

  /** Sends a message: retained first, then written to the connection, if there is one. */
  send(json: string): void {
    const event = { stream: this.name, sequence: ++this.#sequence, json, at: this.#host.now() };
    this.#host.ring.add(event);
    const sink = this.#sink;
    if (sink === undefined) return;
    // Asked before the message is added: one large message is no sign of a client that doesn't read.
    if (sink.writableLength > maxUnreadBytes) {
      this.#giveUp(sink);
      return;
    }
    this.#written = this.#sequence;
    sink.write(wire(event));
  }

  keepAlive(): void {
    if (this.#sink?.writableLength === 0) this.#sink.write(keepAliveComment);
  }

  /** Ends the connection gracefully. The stream goes on: the client may ask for the rest. */
  disconnect(): void {
    const sink = this.#sink;
    this.#release();
    sink?.end();
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
