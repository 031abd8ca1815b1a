import { refusalBody } from "../model/refusal.ts";
import { CallStream } from "./call-stream.ts";
import { EventStream, type StreamHost } from "./event-stream.ts";
import type { HoldBack } from "./hold-back.ts";
import {
  errorCode,
  errorText,
  isInitialize,
  isRequest,
  isResponse,
  type JsonRpcMessage,
  type RequestId,
} from "./json-rpc.ts";
import type { KeepAlive } from "./keep-alive.ts";
import { messageExtra, type Origin } from "./message-extra.ts";
import { canBePrimed, sessionRevisions } from "./protocol-version.ts";
import { answer, answerJson, type ResponseSink, sseHead } from "./response-sink.ts";
import { type EventRing, wire } from "./retained-events.ts";
import { parseEventId, standaloneStream } from "./sse.ts";
import type { McpTransport, MessageExtra, SendOptions } from "./transport-types.ts";

export interface TransportOptions {
  readonly sessionId: string;
  readonly ring: EventRing;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  /** Whether quick answers leave as JSON instead of server-sent events. */
  readonly answerAsJson: boolean;
  now(): number;
  overflowed(stream: string): void;
}

/** How many finished call streams a session remembers, so that a late resume is answered rightly. */
const maxFinished = 256;

const noExtra: Pick<MessageExtra, "closeSSEStream" | "closeStandaloneSSEStream"> = {};

/**
 * One session's transport: the SDKs' public `Transport` interface, straight on Node's request and response. It is
 * given messages and connections whose HTTP side has been checked, and routes each message of the server to the stream
 * that it belongs to (2025-11-25, Streamable HTTP).
 */
export class SessionTransport implements McpTransport, StreamHost {
  readonly sessionId: string;
  readonly ring: EventRing;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: JsonRpcMessage, extra?: MessageExtra) => void) | undefined;
  canBePrimed = false;

  readonly #options: TransportOptions;
  #supported: readonly string[] = sessionRevisions;
  #protocolVersion: string | undefined;
  #initialize: RequestId | undefined;
  /** Calls that have begun and not ended, by request id. */
  readonly #calls = new Map<RequestId, CallStream>();
  /** Call streams that have ended: their names, and the number of their last event. Oldest first. */
  readonly #finished = new Map<string, number>();
  readonly #standalone: EventStream;
  #streams = 0;
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.sessionId = options.sessionId;
    this.ring = options.ring;
    this.keepAlive = options.keepAlive;
    this.holdBack = options.holdBack;
    this.#standalone = new EventStream(this, standaloneStream);
  }

  /** The revision that initialize settled on. */
  get protocolVersion(): string | undefined {
    return this.#protocolVersion;
  }

  get supportedVersions(): readonly string[] {
    return this.#supported;
  }

  /** Calls that have begun and not ended. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /** Streams that a connection carries now. */
  get streams(): number {
    const calls = [...new Set(this.#calls.values())].filter((call) => call.events?.connected === true);
    return calls.length + (this.#standalone.connected ? 1 : 0);
  }

  now(): number {
    return this.#options.now();
  }

  overflowed(stream: string): void {
    this.#options.overflowed(stream);
  }

  setSupportedProtocolVersions(versions: string[]): void {
    this.#supported = versions;
  }

  async start(): Promise<void> {}

  /** Takes the messages of one POST; `sink` gets the answer when each request among them has its response. */
  accept(messages: readonly JsonRpcMessage[], sink: ResponseSink, origin: Origin): void {
    if (this.#closed) {
      answerEnded(sink);
      return;
    }
    const requests: RequestId[] = [];
    for (const message of messages) {
      if (!isRequest(message)) continue;
      if (this.#calls.has(message.id) || requests.includes(message.id)) {
        const fault = `Invalid Request: id ${JSON.stringify(message.id)} belongs to a request that is still running`;
        answerJson(sink, 400, errorText(message.id, errorCode.invalidRequest, fault));
        return;
      }
      requests.push(message.id);
      if (isInitialize(message)) this.#initialize = message.id;
    }
    if (requests.length === 0) {
      for (const message of messages) this.#deliver(message, messageExtra(origin, noExtra));
      answer(sink, 202, [], "");
      return;
    }
    this.#streams += 1;
    const call = new CallStream(this, `c${this.#streams.toString(36)}`, sink, requests, this.#options.answerAsJson);
    for (const id of requests) this.#calls.set(id, call);
    const extra = messageExtra(origin, this.canBePrimed ? this.#closers(call) : noExtra);
    for (const message of messages) this.#deliver(message, extra);
  }

  /** Opens the standalone stream, from the first message that no connection has carried yet. */
  listen(sink: ResponseSink): void {
    if (this.#closed) {
      answerEnded(sink);
      return;
    }
    if (this.#standalone.connected) {
      const fault = "Conflict: Only one SSE stream is allowed per session";
      answerJson(sink, 409, errorText(null, errorCode.transport, fault));
      return;
    }
    if (!this.#standalone.connect(sink, this.#standalone.written)) {
      // What waited for a first connection has outgrown its bounds; the stream goes on from here.
      this.#standalone.connect(sink, this.#standalone.sequence);
    }
  }

  /** Lets a connection go on with the stream that an event id names, from the event after it. */
  resume(sink: ResponseSink, lastEventId: string): void {
    if (this.#closed) {
      answerEnded(sink);
      return;
    }
    const place = parseEventId(lastEventId);
    const stream = place && this.#openStream(place.stream);
    if (place === undefined) {
      answerJson(sink, 400, errorText(null, errorCode.transport, "Invalid event ID format"));
      return;
    }
    if (stream === undefined) {
      this.#resumeFinished(sink, place.stream, place.sequence);
      return;
    }
    if (place.sequence > stream.sequence || !stream.connect(sink, place.sequence)) this.#answerGone(sink, lastEventId);
  }

  send(message: JsonRpcMessage, options?: SendOptions): Promise<void> {
    if (this.#closed) return this.#tooLate("the session");
    const answers = isResponse(message);
    const request = answers ? message.id : options?.relatedRequestId;
    const call = request === undefined ? undefined : this.#calls.get(request);
    if (request !== undefined && call === undefined) return this.#tooLate(`request ${String(request)}`);
    let json: string;
    try {
      json = JSON.stringify(message);
    } catch (error) {
      // A BigInt, say. The server has done its part, so without this the client would wait for ever.
      if (answers && call !== undefined) this.#settle(message.id, call, internalError(message.id));
      return Promise.reject(error);
    }
    if (call === undefined) {
      this.#standalone.send(json);
    } else if (answers) {
      this.#noteInitialize(message);
      this.#settle(message.id, call, json);
    } else {
      call.send(json);
      // The server waits for the client's answer to this one, so it can't wait for the call's own answer.
      if (isRequest(message)) call.open();
    }
    return settled;
  }

  /** Ends the transport. Calls without a response get an error response, so that no client waits for them. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const [request, call] of [...this.#calls]) {
      const fault = "The session ended before this request had its response";
      this.#settle(request, call, errorText(request, errorCode.session, fault));
    }
    this.#standalone.disconnect();
    this.ring.clear();
    this.onclose?.();
  }

  #deliver(message: JsonRpcMessage, extra: MessageExtra): void {
    try {
      this.onmessage?.(message, extra);
    } catch (error) {
      const call = isRequest(message) ? this.#calls.get(message.id) : undefined;
      if (isRequest(message) && call !== undefined) this.#settle(message.id, call, internalError(message.id));
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
    if (message.method === "notifications/cancelled") this.#cancel(message.params?.requestId);
  }

  /** Servers give a cancelled request no response (2025-11-25, Cancellation), so nothing else would end its stream. */
  #cancel(request: unknown): void {
    const call = this.#calls.get(request as RequestId);
    if (call !== undefined && request !== this.#initialize) this.#settle(request as RequestId, call);
  }

  #noteInitialize(message: JsonRpcMessage): void {
    if (message.id !== this.#initialize) return;
    this.#initialize = undefined;
    const version = message.result?.protocolVersion;
    if (typeof version !== "string") return;
    this.#protocolVersion = version;
    this.canBePrimed = canBePrimed(version);
  }

  #openStream(name: string): EventStream | undefined {
    if (name === standaloneStream) return this.#standalone;
    for (const call of this.#calls.values()) {
      if (call.name === name) return call.events;
    }
    return undefined;
  }

  #tooLate(what: string): Promise<void> {
    this.onerror?.(new Error(`A message for ${what} came after it had ended`));
    return settled;
  }

  /** Ends a request: with its response, or without one. */
  #settle(request: RequestId, call: CallStream, response?: string): void {
    this.#calls.delete(request);
    if (!call.settle(request, response)) return;
    if (call.events === undefined) return;
    this.#finished.set(call.name, call.events.sequence);
    if (this.#finished.size > maxFinished) {
      const [oldest] = this.#finished.keys();
      this.#finished.delete(oldest as string);
    }
  }

  /** Ways for the server to end connections early; the client comes back with Last-Event-ID (SEP-1699, polling). */
  #closers(call: CallStream): Pick<MessageExtra, "closeSSEStream" | "closeStandaloneSSEStream"> {
    return {
      closeSSEStream: () => {
        // A tool may come with this when its call is over, and then there is nothing to end.
        if (call.unanswered.size > 0) call.open().disconnect();
      },
      closeStandaloneSSEStream: () => this.#standalone.disconnect(),
    };
  }

  #resumeFinished(sink: ResponseSink, stream: string, sequence: number): void {
    const last = this.#finished.get(stream);
    const missed = last === undefined || sequence > last ? undefined : this.ring.after(stream, sequence, last);
    if (missed === undefined) {
      this.#answerGone(sink, `${stream}-${sequence}`);
      return;
    }
    if (missed.length === 0) {
      // 204 tells a client that there is nothing more; an empty stream would make it ask again.
      sink.writeHead(204, []);
      sink.end();
      return;
    }
    const body = missed.map(wire).join("");
    sink.writeHead(200, sseHead(this.sessionId, Buffer.byteLength(body)));
    sink.end(body);
  }

  #answerGone(sink: ResponseSink, lastEventId: string): void {
    const fault = `What followed event ${lastEventId} is not kept any more. Open a stream without Last-Event-ID.`;
    answerJson(sink, 400, errorText(null, errorCode.transport, fault));
  }
}

const settled = Promise.resolve();

/** What a client is told when its server failed to answer: the log says more, the client need not know. */
function internalError(request: RequestId): string {
  return errorText(request, errorCode.internal, "Internal error");
}

/** For a request that reached the session in the moment of its end. */
function answerEnded(sink: ResponseSink): void {
  answerJson(sink, 404, JSON.stringify(refusalBody("closed", null)));
}
