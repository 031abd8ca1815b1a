import type { LedgerEntry } from "../ports/registry.ts";
import { outcome, outcomeText } from "./call-outcomes.ts";
import { EventStream, type StreamHost } from "./event-stream.ts";
import type { HeldBack } from "./hold-back.ts";
import { isResponse, type JsonRpcMessage, type JsonRpcRequest } from "./json-rpc.ts";
import type { Departure } from "./outbox.ts";
import type { PostBody } from "./post-body.ts";
import { answer, answerEvents, type ResponseSink } from "./response-sink.ts";
import { messageEvent } from "./sse.ts";

/** One request of a client. */
export interface Call {
  readonly request: JsonRpcRequest;
  readonly stream: CallStream;
  /** It is not run: another one with its id is, or was. */
  readonly isRepeat: boolean;
  /** What the ledger has of it, once it has been noted there. */
  entry: LedgerEntry | undefined;
  /** A value that can't be kept, which this call may have made so. */
  failure: Error | undefined;
}

/** What call streams need of their session besides what all streams need. */
export interface CallHost extends StreamHost {
  /** A call takes longer: notes it where it has to be, and then lets `opening` leave. */
  begin(stream: CallStream, opening: Departure): void;
  /** All that the stream had to send was sent, over this connection; over none, if its client is gone. */
  left(stream: CallStream, sink: ResponseSink | undefined): void;
}

/** What an answer is for. */
export interface Post {
  /** The connection that waits for it. */
  readonly sink: ResponseSink | undefined;
  /** Absent where nothing outlives the node. */
  readonly body: PostBody | undefined;
  readonly asJson: boolean;
}

/**
 * The answer to one POST: the messages that belong to its requests, until each request has its response.
 *
 * An answer that is complete within 20 ms leaves as one write, head and body. One that takes longer gets its head, a
 * priming event and numbered events, so that a client whose connection is lost can ask for the rest. That the call has
 * begun is noted before; should it end meanwhile, its answer still leaves whole.
 */
export class CallStream implements HeldBack, Departure {
  readonly name: string;
  readonly calls: Call[] = [];
  /** When it began. */
  readonly at: number;
  readonly body: PostBody | undefined;
  readonly #host: CallHost;
  readonly #sink: ResponseSink | undefined;
  #asJson: boolean;
  /** How many requests have no response yet. */
  #unanswered = 0;
  /** All messages, until the head has left. */
  #messages: string[] = [];
  /** How many of them may leave. */
  #allowed = 0;
  #events: EventStream | undefined;
  #state: "held-back" | "opening" | "open" | "over" = "held-back";
  /** The server has ended the connection before there was one. */
  #isCut = false;

  constructor(host: CallHost, name: string, post: Post) {
    this.#host = host;
    this.name = name;
    this.at = host.now();
    this.#sink = post.sink;
    this.body = post.body;
    this.#asJson = post.asJson;
    if (post.sink !== undefined) host.holdBack.add(this);
  }

  /** A stream that began on another node, after its newest event; its requests run again here. */
  static resumed(host: CallHost, name: string, sequence: number, body: PostBody): CallStream {
    const stream = new CallStream(host, name, { sink: undefined, body, asJson: false });
    stream.#events = new EventStream(host, name, true, { sequence, carried: sequence });
    stream.#state = "open";
    return stream;
  }

  /** The number of the POST's requests is known before any of them is delivered. */
  add(request: JsonRpcRequest, isRepeat = false): Call {
    const call: Call = { request, stream: this, isRepeat, entry: undefined, failure: undefined };
    this.calls.push(call);
    this.#unanswered += 1;
    // A batch's answer as JSON would be an array in the order of the requests; as events it needs neither.
    if (this.#unanswered > 1) this.#asJson = false;
    return call;
  }

  /** The numbered stream, once the answer has turned out to take longer. */
  get events(): EventStream | undefined {
    return this.#events;
  }

  /** Whether each request has its response, or will never have one. */
  get isComplete(): boolean {
    return this.#unanswered === 0;
  }

  /** Whether all of the answer has left. */
  get isOver(): boolean {
    return this.#state === "over";
  }

  /** Sends a message that belongs to one of the requests. */
  send(json: string): void {
    if (this.#events === undefined) this.#messages.push(json);
    else {
      this.#events.add(json);
      if (this.#state === "opening") this.#messages.push(json);
    }
    this.#host.outbox.pass(this);
  }

  /** Notes that a request has its response, or will never have one. */
  settle(response?: string): void {
    this.#unanswered -= 1;
    if (response !== undefined) {
      this.send(response);
      return;
    }
    // An answer as JSON is a response; without one, what was sent before it can leave only as events.
    this.#asJson = false;
    this.#endIfOver();
  }

  /** The oldest message that waits may leave. */
  leave(): void {
    if (this.#events === undefined || this.#state === "opening") this.#allowed += 1;
    this.#events?.leave();
    this.#endIfOver();
  }

  /** The oldest message that waits has waited too long for what was changed before it. */
  refuse(): void {
    const message = this.#events?.next ?? this.#messages[this.#allowed];
    const refused = message === undefined ? undefined : this.#refusalOf(JSON.parse(message) as JsonRpcMessage);
    if (refused !== undefined) {
      this.#events?.replaceNext(refused);
      if (this.#allowed < this.#messages.length) this.#messages[this.#allowed] = refused;
    }
    this.leave();
  }

  /** Sends the head soon, and what waits: the client must see something before the answer is whole. */
  open(): void {
    // An answer that is whole only waits for its turn.
    if (this.#state !== "held-back" || this.#unanswered === 0) return;
    this.#state = "opening";
    this.#host.holdBack.remove(this);
    this.#events = new EventStream(this.#host, this.name, false);
    for (const json of this.#messages) this.#events.add(json);
    for (let left = 0; left < this.#allowed; left += 1) this.#events.leave();
    const connect = () => this.#connect();
    // That it has begun could not be noted for long enough: its client must not wait in silence for ever.
    this.#host.begin(this, { leave: connect, refuse: connect });
  }

  /** Ends the connection; the client comes back for the rest. */
  cut(): void {
    if (this.#unanswered === 0) return;
    if (this.#state === "open") this.#events?.disconnect();
    else this.#isCut = true;
    this.open();
  }

  outlive(): void {
    this.#events?.log();
    this.#host.outbox.soon();
  }

  /**
   * Ends without what is missing, or waits: the session is another node's, or its node stops. A client that can ask for
   * the rest there does so; another one is told what nobody knows.
   */
  abandon(text: string): void {
    if (this.#state === "over") return;
    const wasOpen = this.#state === "open";
    this.#over();
    // Not where its next owner would know nothing of the call: its head left while the registry was away.
    const { canBePrimed, unwritten } = this.#host;
    const isNoted = this.calls.every(({ entry }) => entry === undefined || !unwritten.hasBeginningOf(entry.request));
    const canAskAgain = isNoted && (canBePrimed || (this.#events?.released ?? 0) > 0);
    if (wasOpen && canAskAgain) {
      this.#events?.disconnect();
      return;
    }
    const told = this.calls.map(({ request }) => outcomeText(request, text));
    if (wasOpen) this.#events?.end(told.map((json) => messageEvent(json)).join(""));
    else this.#answerWhole(this.#sink as ResponseSink, told);
  }

  #refusalOf(message: JsonRpcMessage): string | undefined {
    if (!isResponse(message)) return undefined;
    const call = this.calls.find(({ request }) => request.id === message.id);
    return call === undefined ? undefined : outcomeText(call.request, outcome.notKept);
  }

  #connect(): void {
    // It has ended meanwhile: the answer leaves whole.
    if (this.#state !== "opening" || this.#unanswered === 0) return;
    this.#state = "open";
    this.#messages = [];
    this.#events?.connect(this.#sink as ResponseSink, 0);
    if (this.#host.outbox.keeps) this.#host.holdBack.watch(this);
    if (this.#isCut) this.#events?.disconnect();
  }

  #endIfOver(): void {
    if (this.#unanswered > 0 || this.#state === "over") return;
    const wasOpen = this.#state === "open";
    if (wasOpen ? this.#events?.released !== this.#events?.sequence : this.#allowed < this.#messages.length) return;
    this.#over();
    if (wasOpen) {
      this.#host.left(this, this.#events?.disconnect());
      return;
    }
    const sink = this.#sink?.destroyed === true ? undefined : this.#sink;
    if (sink !== undefined) this.#answerWhole(sink, this.#messages);
    this.#host.left(this, sink);
  }

  #over(): void {
    if (this.#state === "held-back") this.#host.holdBack.remove(this);
    else if (this.#host.outbox.keeps) this.#host.holdBack.unwatch(this);
    this.#state = "over";
  }

  #answerWhole(sink: ResponseSink, messages: readonly string[]): void {
    const [first] = messages;
    if (this.#asJson && messages.length === 1) {
      const head = ["Content-Type", "application/json", "mcp-session-id", this.#host.sessionId];
      answer(sink, 200, head, first as string);
      return;
    }
    let body = "";
    for (const json of messages) body += messageEvent(json);
    answerEvents(sink, this.#host.sessionId, body);
  }
}
