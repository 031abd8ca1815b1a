import { EventStream, type StreamHost } from "./event-stream.ts";
import type { HeldBack } from "./hold-back.ts";
import type { RequestId } from "./json-rpc.ts";
import { answer, type ResponseSink, sseHead } from "./response-sink.ts";
import { messageEvent } from "./sse.ts";

/**
 * The answer to one POST: the messages that belong to its requests, until each request has its response.
 *
 * An answer that is complete within 20 ms leaves as one write, head and body. One that takes longer gets its head, a
 * priming event and numbered events, so that a client whose connection is lost can ask for the rest.
 */
export class CallStream implements HeldBack {
  readonly name: string;
  readonly #host: StreamHost;
  readonly #sink: ResponseSink;
  #asJson: boolean;
  /** Requests without a response yet. */
  readonly #unanswered: Set<RequestId>;
  /** Messages that wait for the answer to be whole. */
  #waiting: string[] = [];
  #events: EventStream | undefined;

  constructor(host: StreamHost, name: string, sink: ResponseSink, requests: readonly RequestId[], asJson: boolean) {
    this.#host = host;
    this.name = name;
    this.#sink = sink;
    this.#unanswered = new Set(requests);
    // A batch's answer as JSON would be an array in the order of the requests; as events it needs neither.
    this.#asJson = asJson && requests.length === 1;
    host.holdBack.add(this);
  }

  get unanswered(): ReadonlySet<RequestId> {
    return this.#unanswered;
  }

  /** The numbered stream, once the answer has turned out to take longer. */
  get events(): EventStream | undefined {
    return this.#events;
  }

  /** Sends a message that belongs to one of the requests. */
  send(json: string): void {
    if (this.#events === undefined) this.#waiting.push(json);
    else this.#events.send(json);
  }

  /** Notes that a request has its response, or will never have one. Gives whether this was the last. */
  settle(request: RequestId, response?: string): boolean {
    this.#unanswered.delete(request);
    if (response !== undefined) this.send(response);
    // An answer as JSON is a response; without one, what was sent before it can leave only as events.
    else this.#asJson = false;
    if (this.#unanswered.size > 0) return false;
    this.#host.holdBack.remove(this);
    if (this.#events === undefined) this.#answerWhole();
    else this.#events.disconnect();
    return true;
  }

  /** Sends the head now, and what waits: the client must see something before the answer is whole. */
  open(): EventStream {
    this.#host.holdBack.remove(this);
    if (this.#events !== undefined) return this.#events;
    this.#events = new EventStream(this.#host, this.name);
    for (const json of this.#waiting) this.#events.send(json);
    this.#waiting = [];
    this.#events.connect(this.#sink, 0);
    return this.#events;
  }

  #answerWhole(): void {
    const [first] = this.#waiting;
    if (this.#asJson && this.#waiting.length === 1) {
      const head = ["Content-Type", "application/json", "mcp-session-id", this.#host.sessionId];
      answer(this.#sink, 200, head, first as string);
      return;
    }
    let body = "";
    for (const json of this.#waiting) body += messageEvent(json);
    this.#sink.writeHead(200, sseHead(this.#host.sessionId, Buffer.byteLength(body)));
    this.#sink.end(body);
  }
}
