import type { PeerAnswer } from "../model/locate.ts";
import { errorCode, errorText } from "../session/json-rpc.ts";
import { answerJson } from "../session/response-sink.ts";
import type { Exchange } from "./exchange.ts";
import { answerHeader, ownerHeader } from "./not-here.ts";
import type { PeerClient, PeerNode } from "./peer/client.ts";
import type { AnswerStream, AnswerTaker, Loss } from "./peer/request-stream.ts";
import { headerOf, requestHeaders, responseHeaders } from "./relay-headers.ts";

/** What came of passing a request on: the client has its answer, or gets it; or what the node said instead. */
export type RelayOutcome = "answered" | PeerAnswer | { readonly movedTo: string };

/**
 * Passes a request on to the node that owns its session, and the answer back, streaming both ways. A request is sent
 * again, to whomever, only if nothing of it had been sent: what a node may have read is never repeated.
 */
export function relay(
  peers: PeerClient,
  node: PeerNode,
  exchange: Exchange,
  body: string | undefined,
): Promise<RelayOutcome> {
  const { method, headers, sink } = exchange;
  // It left before anything was sent. What it posted is still done, as if it had reached the owner itself; but a stream
  // is of no use to anybody.
  if (sink.destroyed && method === "GET") return Promise.resolve("answered");
  return new Promise((resolve) => {
    peers.request(node, { method, headers: requestHeaders(headers), body }, new Relayed(exchange, resolve));
  });
}

/** One answer on its way back to the client. */
class Relayed implements AnswerTaker {
  readonly #exchange: Exchange;
  readonly #resolve: (outcome: RelayOutcome) => void;
  readonly #onClose = () => this.#leave();
  #stream: AnswerStream | undefined;
  /** What the node said is for this node, and not for the client. */
  #ignored = false;
  #isEventStream = false;
  /** Bytes of the body that the client has not taken yet. */
  #waiting = 0;

  constructor(exchange: Exchange, resolve: (outcome: RelayOutcome) => void) {
    this.#exchange = exchange;
    this.#resolve = resolve;
  }

  opened(stream: AnswerStream): void {
    this.#stream = stream;
    const { sink, method } = this.#exchange;
    // A client that hangs up ends the stream at the owner, which takes it for a lost connection: the call goes on.
    if (!sink.destroyed) sink.once("close", this.#onClose);
    else if (method === "GET") this.#leave();
  }

  head(status: number, headers: string[], body: Buffer, last: boolean): void {
    const { sink } = this.#exchange;
    if (sink.destroyed) {
      this.#leave();
      return;
    }
    const word = headerOf(headers, answerHeader);
    if (word !== undefined) {
      this.#ignored = true;
      const movedTo = word === "moved" ? headerOf(headers, ownerHeader) : undefined;
      if (movedTo !== undefined) this.#giveBack({ movedTo });
      else this.#giveBack(word === "not-here" ? "not-here" : "silent");
      return;
    }
    this.#isEventStream =
      headerOf(headers, "content-type") === "text/event-stream" && headerOf(headers, "content-length") === undefined;
    sink.writeHead(status, responseHeaders(headers));
    // The whole of a quick answer leaves with its head.
    if (last) sink.end(body.toString("latin1"), "latin1");
    else if (body.length > 0) this.#pass(body);
    else if (this.#isEventStream) sink.flushHeaders();
    this.#resolve("answered");
  }

  data(chunk: Buffer, last: boolean): void {
    const { sink } = this.#exchange;
    if (this.#ignored) return;
    if (chunk.length > 0) this.#pass(chunk);
    if (last) sink.end();
  }

  lost(how: Loss): void {
    const { sink } = this.#exchange;
    if (this.#ignored || sink.destroyed) this.#resolve("answered");
    else if (how === "unsent") this.#giveBack("silent");
    else if (!sink.headersSent) this.#answerLost();
    // Ended, not broken off: clients resume a stream that ended, and some give up on a socket that broke.
    else if (this.#isEventStream) sink.end();
    else sink.destroy();
  }

  #pass(chunk: Buffer): void {
    const { sink } = this.#exchange;
    if (sink.destroyed) return;
    // A piece of what was read from the owner at a time keeps all of that in memory as long as the client lets it wait.
    const hasRoom = sink.write(sink.writableLength === 0 ? chunk : Buffer.from(chunk));
    if (hasRoom && this.#waiting === 0) {
      this.#stream?.read(chunk.length);
      return;
    }
    if (this.#waiting === 0) sink.once("drain", () => this.#drained());
    this.#waiting += chunk.length;
  }

  #drained(): void {
    const read = this.#waiting;
    this.#waiting = 0;
    this.#stream?.read(read);
  }

  /** Not answered: it may be passed on to others, again and again. */
  #giveBack(outcome: Exclude<RelayOutcome, "answered">): void {
    this.#exchange.sink.off("close", this.#onClose);
    this.#resolve(outcome);
  }

  #leave(): void {
    this.#stream?.cancel();
    this.#resolve("answered");
  }

  /** The request was sent and no answer came: only the client can decide whether it may be sent again. */
  #answerLost(): void {
    if (this.#exchange.method !== "POST") {
      this.#giveBack("silent");
      return;
    }
    const message =
      "The node that owns the session broke off before its answer. What was sent may or may not have been done: check before you send it again.";
    answerJson(this.#exchange.sink, 502, errorText(null, errorCode.session, message));
    this.#resolve("answered");
  }
}
