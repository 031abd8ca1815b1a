import type { Dispatcher } from "undici";
import type { PeerAnswer } from "../model/locate.ts";
import type { NodeRecord } from "../ports/registry.ts";
import { errorCode, errorText } from "../session/json-rpc.ts";
import { answerJson } from "../session/response-sink.ts";
import type { Exchange } from "./exchange.ts";
import type { PeerClient } from "./peer-client.ts";
import { answerHeader } from "./peer-link.ts";
import { requestHeaders, responseHeaders } from "./relay-headers.ts";

/** What came of passing a request on: the client has its answer, or gets it; or what the node said instead. */
export type RelayOutcome = "answered" | PeerAnswer;

/** How long the head of an answer may take. A call's head leaves its owner after 20 ms, however long the call takes. */
const headDeadlineMs = 10_000;

/**
 * Passes a request on to the node that owns its session, and the answer back, streaming both ways. A request is sent
 * again, to whomever, only if nothing of it had been sent: what a node may have read is never repeated.
 */
export function relay(
  peers: PeerClient,
  node: NodeRecord,
  exchange: Exchange,
  body: string | undefined,
): Promise<RelayOutcome> {
  return new Promise((resolve) => {
    const handler = new RelayHandler(exchange, () => peers.saw(node), resolve);
    const request = {
      method: exchange.method as "GET" | "POST" | "DELETE",
      path: "/mcp",
      session: String(exchange.headers["mcp-session-id"]),
      headers: requestHeaders(exchange.headers),
      body,
    };
    peers.dispatch(node, request, handler);
  });
}

const clientHungUp = new Error("the client hung up");

/** One answer on its way back to the client. */
class RelayHandler implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #saw: () => void;
  readonly #resolve: (outcome: RelayOutcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #head: { readonly status: number; readonly headers: string[] } | undefined;
  #isStream = false;
  #ignored = false;
  /** Whether the answer is whole, or lost: then its connection's end means nothing any more. */
  #ended = false;
  #length = Number.NaN;

  constructor(exchange: Exchange, saw: () => void, resolve: (outcome: RelayOutcome) => void) {
    this.#exchange = exchange;
    this.#saw = saw;
    this.#resolve = resolve;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    const { sink, method } = this.#exchange;
    this.#deadline = setTimeout(() => controller.abort(new Error("no answer in time")), headDeadlineMs);
    // A client that hangs up ends the stream at the owner, which takes it for a lost connection: the call goes on.
    if (!sink.destroyed) sink.once("close", () => this.#hungUp());
    // It left before anything was sent: what it asked for is still done, as if it had reached the owner itself.
    else if (method === "GET") this.#hungUp();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    clearTimeout(this.#deadline);
    this.#saw();
    if (this.#exchange.sink.destroyed) {
      this.#hungUp();
      return;
    }
    const word = headers[answerHeader];
    if (word !== undefined) {
      this.#ignored = true;
      this.#resolve(word === "not-here" ? "not-here" : "unreachable");
      return;
    }
    const type = headers["content-type"];
    this.#isStream = type === "text/event-stream" && headers["content-length"] === undefined;
    this.#head = { status, headers: responseHeaders(headers) };
    this.#length = Number(headers["content-length"]);
    // With the first bytes of the body in one write; a stream that has none yet must not wait for them.
    if (this.#isStream) setImmediate(() => this.#sendHead() && this.#exchange.sink.flushHeaders());
    this.#resolve("answered");
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ignored) return;
    const { sink } = this.#exchange;
    if (this.#sendHead() && chunk.length === this.#length) {
      // The whole of a quick answer leaves with its head.
      sink.end(chunk.toString("latin1"), "latin1");
      this.#ended = true;
      return;
    }
    if (sink.destroyed || sink.write(chunk)) return;
    controller.pause();
    sink.once("drain", () => controller.resume());
  }

  onResponseEnd(): void {
    const ended = this.#ended || this.#ignored;
    this.#ended = true;
    if (ended) return;
    this.#sendHead();
    this.#exchange.sink.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, _error: Error): void {
    clearTimeout(this.#deadline);
    this.#ended = true;
    const { sink } = this.#exchange;
    if (this.#ignored || sink.destroyed) {
      this.#resolve("answered");
    } else if (this.#controller === undefined) {
      this.#resolve("unreachable");
    } else if (this.#head === undefined) {
      this.#answerLost();
    } else if (this.#isStream) {
      // Ended, not broken off: clients resume a stream that ended, and some give up on a socket that broke.
      this.#sendHead();
      sink.end();
    } else {
      sink.destroy();
    }
  }

  #hungUp(): void {
    if (!this.#ended) this.#controller?.abort(clientHungUp);
  }

  /** Gives whether the head left with this. */
  #sendHead(): boolean {
    const { sink } = this.#exchange;
    if (this.#head === undefined || sink.headersSent || sink.destroyed) return false;
    sink.writeHead(this.#head.status, this.#head.headers);
    return true;
  }

  /** The request was sent and no answer came: only the client can decide whether it may be sent again. */
  #answerLost(): void {
    if (this.#exchange.method !== "POST") {
      this.#resolve("unreachable");
      return;
    }
    const message =
      "The node that owns the session broke off before its answer. What was sent may or may not have been done: check before you send it again.";
    answerJson(this.#exchange.sink, 502, errorText(null, errorCode.session, message));
    this.#resolve("answered");
  }
}
