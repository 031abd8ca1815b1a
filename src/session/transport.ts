import type { Journal, SessionChanges } from "../ports/registry.ts";
import { outcome } from "./call-outcomes.ts";
import type { CallHost, CallStream } from "./call-stream.ts";
import { CallStreams } from "./call-streams.ts";
import { Calls } from "./calls.ts";
import { EpochIds } from "./epoch-ids.ts";
import { EventStream } from "./event-stream.ts";
import type { HoldBack } from "./hold-back.ts";
import { SessionJournal } from "./journal.ts";
import { errorCode, errorText, isRequest, isResponse, type JsonRpcMessage, type JsonRpcRequest } from "./json-rpc.ts";
import type { KeepAlive } from "./keep-alive.ts";
import { Ledger } from "./ledger.ts";
import { ListCheck } from "./list-check.ts";
import { messageExtra, type Origin, type StreamClosers } from "./message-extra.ts";
import { type Departure, Outbox } from "./outbox.ts";
import { type Ask, OwnRequests } from "./own-requests.ts";
import { PostBody } from "./post-body.ts";
import { canBePrimed, sessionRevisions } from "./protocol-version.ts";
import { answerEnded, answerGone } from "./refusals.ts";
import { Repeatable } from "./repeatable.ts";
import { replay } from "./replay.ts";
import { answer, answerJson, type ResponseSink } from "./response-sink.ts";
import { type EventRing, restoreEvents } from "./retained-events.ts";
import { parseEventId, standaloneStream } from "./sse.ts";
import { errorOf } from "./thrown.ts";
import type { EndReason, TransportOptions } from "./transport-options.ts";
import type { McpTransport, MessageExtra, SendOptions } from "./transport-types.ts";
import { loggedEvent, Unwritten } from "./unwritten.ts";

/** For requests that come from no client. */
const ownOrigin: Origin = { method: "POST", url: "/mcp", headers: {} };

/**
 * One session's transport: the SDKs' public `Transport` interface, straight on Node's request and response. It is
 * given messages and connections whose HTTP side has been checked, and routes each message of the server to the stream
 * that it belongs to (2025-11-25, Streamable HTTP).
 */
export class SessionTransport implements McpTransport, CallHost {
  readonly sessionId: string;
  readonly ring: EventRing;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  readonly outbox: Outbox;
  readonly unwritten: Unwritten;
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: JsonRpcMessage, extra?: MessageExtra) => void) | undefined;
  canBePrimed = false;

  /** For {@link now} and {@link overflowed}. What a session was restored from is not held: it has it twice then. */
  readonly #host: Pick<TransportOptions, "now" | "overflowed">;
  readonly #answersAsJson: boolean;
  readonly #isRestored: boolean;
  #supported: readonly string[] = sessionRevisions;
  #protocolVersion: string | undefined;
  readonly #own: OwnRequests;
  readonly #repeatable: Repeatable;
  readonly #ledger: Ledger;
  readonly #calls: Calls;
  readonly #journal: SessionJournal | undefined;
  /** How requests to the client are numbered on the wire; absent in the first epoch, where as the server does. */
  readonly #ids: EpochIds | undefined;
  readonly #callStreams: CallStreams;
  readonly #standalone: EventStream;
  #ended: EndReason | undefined;

  constructor(options: TransportOptions) {
    this.sessionId = options.sessionId;
    this.ring = options.ring;
    this.keepAlive = options.keepAlive;
    this.holdBack = options.holdBack;
    const { keeping, epoch = 1, now, overflowed } = options;
    const stored = keeping?.stored;
    this.#host = { now, overflowed };
    this.#answersAsJson = options.answerAsJson;
    this.#isRestored = stored !== undefined;
    this.#ids = epoch > 1 ? new EpochIds(epoch) : undefined;
    // The newest number is known also by what was carried, should the log itself have been lost.
    const carried = stored?.carried ?? 0;
    const sequence = Math.max(stored?.sequence ?? 0, carried);
    this.unwritten = new Unwritten(this.ring.retention, carried);
    this.outbox = new Outbox({
      store: keeping?.store,
      state: options.state,
      holdMs: keeping?.holdMs ?? 0,
      strict: keeping?.strict ?? false,
      unwritten: this.unwritten,
      carried: () => this.#standalone.written,
      callRuns: () => this.#calls.anyRuns,
      leftUnlogged: keeping?.leftUnlogged,
      failed: (error) => this.onerror?.(error),
      spoilt: (failure) => this.#calls.spoil(failure),
    });
    this.#standalone = new EventStream(this, standaloneStream, keeping !== undefined, { sequence, carried });
    const deliver = (message: JsonRpcMessage, extra: MessageExtra) => this.#deliver(message, extra);
    this.#own = new OwnRequests((request) => deliver(request, messageExtra(ownOrigin)));
    this.#repeatable = new Repeatable((method, params, ms) => this.#own.ask(method, params, ms));
    this.#ledger = new Ledger({
      outbox: this.outbox,
      unwritten: this.unwritten,
      repeatable: this.#repeatable,
      now,
    });
    this.#journal = keeping && new SessionJournal(keeping.journal);
    this.#calls = new Calls({
      outbox: this.outbox,
      unwritten: this.unwritten,
      ledger: this.#ledger,
      repeatable: this.#repeatable,
      journal: this.#journal,
      notesFirst: keeping?.ledger === "strict",
      initialized: (result) => this.#noteVersion(result),
      deliver,
    });
    this.#callStreams = new CallStreams({ host: this, epoch, calls: this.#calls, ledger: this.#ledger, deliver });
    if (stored !== undefined) {
      restoreEvents(this.ring, stored.events);
      this.#ledger.restore(stored.ledger);
    }
  }

  /** The revision that initialize settled on. */
  get protocolVersion(): string | undefined {
    return this.#protocolVersion;
  }

  get supportedVersions(): readonly string[] {
    return this.#supported;
  }

  /** Calls that have begun, and whose answers have not left. */
  get inFlight(): number {
    return this.#calls.inFlight;
  }

  /** Whether a call has ended whose client may not have its answer: what becomes of a repeat only this copy knows. */
  get hasUnread(): boolean {
    return !this.#ledger.isEmpty;
  }

  /** Streams that a connection carries now. */
  get streams(): number {
    return this.#callStreams.connected + (this.#standalone.connected ? 1 : 0);
  }

  /** What its client has told the server; absent where nothing outlives the node. */
  get journal(): Journal | undefined {
    return this.#journal?.all;
  }

  /** What the registry has, or is to have, of the session's streams, calls and journal. */
  get kept(): SessionChanges {
    const { journal } = this;
    return {
      ...(journal && { journal }),
      events: this.ring.logged().map(loggedEvent),
      carried: this.#standalone.written,
      begun: this.#calls.entries,
    };
  }

  /** The registry has nothing of the session any more: all is written again, with the next write or soon. */
  unkept(): void {
    if (this.#journal === undefined) return;
    const { initialize: _, ...journal } = this.#journal.all;
    this.unwritten.again(this.ring.logged(), this.#calls.entries, journal);
    this.outbox.soon();
  }

  /**
   * The session is about to go on elsewhere: what its clients can still ask for goes along, with the next write. That is
   * the events of calls which this process alone kept so far, and the calls whose answers nobody has read.
   */
  goesAlong(): void {
    if (!this.outbox.keeps) return;
    for (const event of this.ring.unlogged()) this.unwritten.event(event);
    this.#ledger.goesAlong();
  }

  now(): number {
    return this.#host.now();
  }

  overflowed(stream: string): void {
    this.#host.overflowed(stream);
  }

  setSupportedProtocolVersions(versions: string[]): void {
    this.#supported = versions;
  }

  async start(): Promise<void> {}

  /**
   * Takes the messages of one POST; `sink` gets the answer when each request among them has its response.
   *
   * @param body the text that the messages were read from: a repeat is known by it
   */
  accept(messages: readonly JsonRpcMessage[], sink: ResponseSink, origin: Origin, body?: string): void {
    const requests = messages.filter(isRequest);
    if (this.#ended !== undefined || this.outbox.isLost) {
      answerEnded(sink, this.#ended, requests[0]?.id);
      return;
    }
    this.outbox.wake();
    if (requests.length === 0) {
      for (const message of messages) this.#hear(message, messageExtra(origin));
      answer(sink, 202, [], "");
      return;
    }
    const intake = this.#calls.judge(requests, body);
    if (intake.kind === "id-in-use") {
      const fault = `Invalid Request: id ${JSON.stringify(intake.id)} belongs to a request that is still running`;
      answerJson(sink, 400, errorText(intake.id, errorCode.invalidRequest, fault));
      return;
    }
    const { told } = intake;
    const stream = this.#callStreams.begin({
      sink,
      body: this.outbox.keeps && body !== undefined ? PostBody.ofText(body) : undefined,
      asJson: this.#answersAsJson,
    });
    for (const request of requests) {
      const isRepeat = told?.has(request.id) === true;
      const call = stream.add(request, isRepeat);
      if (isRepeat) this.#calls.tell(call);
      else this.#calls.add(call);
    }
    const extra = messageExtra(origin, this.canBePrimed ? this.#closers(stream) : undefined);
    for (const message of messages) {
      if (!isRequest(message)) this.#hear(message, extra);
      else this.#take(message, stream, told?.get(message.id), extra);
    }
  }

  /** Opens the standalone stream, from the first message that no connection has carried yet. */
  listen(sink: ResponseSink): void {
    if (this.#ended !== undefined || !this.outbox.owns()) {
      answerEnded(sink, this.#ended);
      return;
    }
    if (this.#standalone.connected) {
      const fault = "Conflict: Only one SSE stream is allowed per session";
      answerJson(sink, 409, errorText(null, errorCode.transport, fault));
      return;
    }
    if (!this.#standalone.connect(sink, this.#standalone.written)) {
      // What waited for a first connection has outgrown its bounds; the stream goes on from here.
      this.#standalone.connect(sink, this.#standalone.released);
    }
  }

  /** Lets a connection go on with the stream that an event id names, from the event after it. */
  resume(sink: ResponseSink, lastEventId: string, origin: Origin): void {
    if (this.#ended !== undefined || !this.outbox.owns()) {
      answerEnded(sink, this.#ended);
      return;
    }
    const place = parseEventId(lastEventId);
    if (place === undefined) {
      answerJson(sink, 400, errorText(null, errorCode.transport, "Invalid event ID format"));
      return;
    }
    if (place.stream !== standaloneStream) this.#callStreams.resume(sink, place, origin);
    else if (!this.#standalone.connect(sink, place.sequence)) answerGone(sink, place);
  }

  send(message: JsonRpcMessage, options?: SendOptions): Promise<void> {
    if (this.#ended !== undefined) return this.#tooLate("the session");
    const related = options?.relatedRequestId;
    if (this.#own.takes(message, related)) return settled;
    const answers = isResponse(message);
    const request = answers ? message.id : related;
    const call = request === undefined ? undefined : this.#calls.get(request);
    if (request !== undefined && call === undefined) return this.#tooLate(`request ${String(request)}`);
    this.outbox.gather();
    if (answers && call !== undefined) return this.#calls.answer(call, message);
    if (message.method === "notifications/tools/list_changed") this.#repeatable.forget();
    let json: string;
    try {
      json = JSON.stringify(this.#ids === undefined ? message : this.#ids.outgoing(message));
    } catch (error) {
      return Promise.reject(error);
    }
    if (call === undefined) {
      this.#standalone.send(json);
    } else {
      call.stream.send(json);
      // The server waits for the client's answer to this one, so it can't wait for the call's own answer.
      if (isRequest(message)) call.stream.open();
    }
    return settled;
  }

  /**
   * Says to a fresh server again what its client had said to the one before it. Gives what is to be looked at still, if
   * that one gave the client lists.
   */
  async replay(): Promise<ListCheck | undefined> {
    const journal = this.#journal;
    if (journal === undefined) throw new Error("There is no journal of this session to restore it from");
    const ask: Ask = (method, params, ms) => this.#own.ask(method, params, ms);
    const result = await replay(journal.all, {
      ask,
      notify: (method) => this.#deliver({ jsonrpc: "2.0", method }, messageExtra(ownOrigin)),
      refused: (error) => this.onerror?.(error),
    });
    this.#noteVersion(result);
    if (journal.lists === undefined) return undefined;
    return new ListCheck({
      given: () => journal.lists ?? {},
      capabilities: { ...(result.capabilities as object | undefined) },
      ask,
      tell: (method) => this.#standalone.sendOnce(JSON.stringify({ jsonrpc: "2.0", method })),
      isOver: () => this.#ended !== undefined,
    });
  }

  /** Ends the transport. Calls without a response get an error response, so that no client waits for them. */
  async close(): Promise<void> {
    this.end("closed");
  }

  /**
   * Ends the transport. Where the session goes on elsewhere, its streams end without a last word, so that their clients
   * ask there; else each call gets an error response, so that no client waits for it.
   */
  end(reason: EndReason): void {
    if (this.#ended !== undefined) return;
    const goesOn = this.outbox.keeps && reason !== "closed" && reason !== "expired";
    if (!goesOn) this.outbox.letGo();
    this.#ended = reason;
    if (goesOn || this.outbox.isLost) this.#calls.abandonAll(outcome.nodeLost);
    else this.#calls.endAll("The session ended before this request had its response");
    this.outbox.lose();
    this.#callStreams.end(reason);
    this.#own.stop();
    this.#ledger.stop();
    if (reason === "moved" || reason === "node-stopping") this.#standalone.moved();
    else this.#standalone.disconnect();
    this.ring.clear();
    this.onclose?.();
  }

  /** A call stream takes longer: see {@link CallHost}. */
  begin(stream: CallStream, opening: Departure): void {
    this.#callStreams.name(stream);
    this.#calls.note(stream, opening);
  }

  left(stream: CallStream, sink: ResponseSink | undefined): void {
    this.#callStreams.ended(stream);
    if (this.outbox.keeps) this.#calls.left(stream, sink);
  }

  #take(request: JsonRpcRequest, stream: CallStream, told: string | undefined, extra: MessageExtra): void {
    if (told !== undefined) {
      this.#calls.answerRepeat(stream, told);
      return;
    }
    const call = this.#calls.get(request.id);
    // A notification of the same batch may have cancelled it.
    if (call?.stream === stream) this.#calls.run(call, extra);
  }

  /** A notification or a response of the client. */
  #hear(message: JsonRpcMessage, extra: MessageExtra): void {
    // A fresh server has been told already.
    if (this.#isRestored && message.method === "notifications/initialized") return;
    const heard = this.#ids === undefined ? message : this.#ids.incoming(message);
    if (heard === undefined) return;
    this.#deliver(heard, extra);
    if (heard.method === "notifications/cancelled") this.#calls.cancel(heard.params?.requestId);
  }

  #deliver(message: JsonRpcMessage, extra: MessageExtra): void {
    try {
      this.onmessage?.(message, extra);
    } catch (error) {
      const call = isRequest(message) ? this.#calls.get(message.id) : undefined;
      if (call !== undefined) this.#calls.fail(call);
      this.onerror?.(errorOf(error));
    }
  }

  #noteVersion(result: JsonRpcMessage["result"]): void {
    const version = result?.protocolVersion;
    if (typeof version !== "string") return;
    this.#protocolVersion = version;
    this.canBePrimed = canBePrimed(version);
  }

  #tooLate(what: string): Promise<void> {
    this.onerror?.(new Error(`A message for ${what} came after it had ended`));
    return settled;
  }

  #closers(stream: CallStream): StreamClosers {
    return {
      // A tool may come with this when its call is over, and then there is nothing to end.
      closeSSEStream: () => stream.cut(),
      closeStandaloneSSEStream: () => void this.#standalone.disconnect(),
    };
  }
}

const settled = Promise.resolve();
