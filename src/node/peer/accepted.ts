import type { IncomingHttpHeaders } from "node:http";
import { bodyTooLarge, maxBodyBytes } from "../../session/http-checks.ts";
import { answerJson } from "../../session/response-sink.ts";
import type { Exchange } from "../exchange.ts";
import { AnswerSink } from "./answer-sink.ts";
import type { Channel, ChannelEnd } from "./channel.ts";
import { ReceiveWindow } from "./flow.ts";
import { creditFrame, frame, frameType, PeerFault, readCredit, readHead } from "./frame.ts";
import type { Identity } from "./greeting.ts";
import { parseQuestion, type Question } from "./question.ts";

/** What a node does for another one. */
export interface Services {
  /** Answers a request that the other node passed on. Never rejects. */
  relayed(exchange: Exchange): Promise<void>;
  /** Answers a question, in JSON; empty when there is no answer. Never rejects. */
  answer(question: Question, from: Identity): Promise<string>;
}

/** As many as a dialler sends; and questions that are being answered. */
const maxStreams = 16_384;
const maxQuestions = 1_024;

/** The side of a connection that is asked. */
export class Accepted implements ChannelEnd {
  readonly peer: Identity;
  readonly #channel: Channel;
  readonly #services: Services;
  readonly #onClosed: (reason: string, isFault: boolean) => void;
  readonly #streams = new Map<number, Incoming>();
  #questions = 0;
  #last = 0;
  #stopping = false;

  constructor(
    channel: Channel,
    peer: Identity,
    services: Services,
    onClosed: (reason: string, isFault: boolean) => void,
  ) {
    this.#channel = channel;
    this.peer = peer;
    this.#services = services;
    this.#onClosed = onClosed;
  }

  /** Says which requests were taken, and ends the connection when what was written has left. */
  goodbye(): void {
    if (this.#channel.closed) return;
    this.#stopping = true;
    this.#channel.send(frame(frameType.goodbye, this.#last));
    this.#channel.end();
  }

  destroy(): void {
    this.#channel.destroy("the node stopped");
  }

  frame(type: number, last: boolean, id: number, payload: Buffer): void {
    switch (type) {
      case frameType.request:
        this.#request(id, payload, last);
        break;
      case frameType.data:
        this.#streams.get(id)?.data(payload, last);
        break;
      case frameType.reset:
        this.#streams.get(id)?.sink.close();
        break;
      case frameType.credit:
        this.#streams.get(id)?.sink.grant(readCredit(payload));
        break;
      case frameType.question:
        void this.#question(id, payload);
        break;
      case frameType.pong:
        break;
      default:
        throw new PeerFault(`a frame of type ${type}, which no dialler sends`);
    }
  }

  tick(): void {}

  closed(reason: string, isFault: boolean): void {
    for (const { sink } of this.#streams.values()) sink.close();
    this.#onClosed(reason, isFault);
  }

  #request(id: number, payload: Buffer, last: boolean): void {
    if (id <= this.#last) throw new PeerFault("a request's number was used before");
    // Behind the goodbye: it is not taken, as that says.
    if (this.#stopping) return;
    this.#last = id;
    const { head, body } = readHead(payload);
    if (!isRequestHead(head)) throw new PeerFault("a request's head can't be understood");
    if (this.#streams.size >= maxStreams) {
      this.#channel.send(frame(frameType.reset, id, "not taken"));
      return;
    }
    const sink = new AnswerSink(id, this.#channel, () => {
      this.#streams.delete(id);
      this.#channel.forget(sink);
    });
    const begin = (text: string) => {
      const exchange = { method: head[0], url: "/mcp", headers: head[1], relayed: true, sink, body: async () => text };
      void this.#services.relayed(exchange);
    };
    const stream = new Incoming(sink, begin, (bytes) => this.#channel.send(creditFrame(id, bytes)));
    this.#streams.set(id, stream);
    stream.data(body, last);
  }

  async #question(id: number, payload: Buffer): Promise<void> {
    const question = this.#questions < maxQuestions ? parseQuestion(payload) : undefined;
    this.#questions += 1;
    const answer = question === undefined ? "" : await this.#services.answer(question, this.peer);
    this.#questions -= 1;
    this.#channel.send(frame(frameType.answer, id, answer));
  }
}

/** A request whose body has not come whole, and then its answer. */
class Incoming {
  readonly sink: AnswerSink;
  readonly #begin: (body: string) => void;
  readonly #grant: (bytes: number) => void;
  readonly #window = new ReceiveWindow();
  #chunks: Buffer[] = [];
  #size = 0;
  #whole = false;

  constructor(sink: AnswerSink, begin: (body: string) => void, grant: (bytes: number) => void) {
    this.sink = sink;
    this.#begin = begin;
    this.#grant = grant;
  }

  data(chunk: Buffer, last: boolean): void {
    if (this.#size > maxBodyBytes) return;
    if (this.#whole) throw new PeerFault("a body went on behind its end");
    this.#window.received(chunk.length);
    this.#size += chunk.length;
    if (this.#size > maxBodyBytes) {
      // The node that passed it on has checked that. What follows is thrown away, and no more of it is granted.
      this.#chunks = [];
      answerJson(this.sink, 413, JSON.stringify(bodyTooLarge));
      return;
    }
    if (last) {
      this.#whole = true;
      const body = this.#chunks.length === 0 ? chunk : Buffer.concat([...this.#chunks, chunk]);
      this.#chunks = [];
      this.#begin(body.toString());
      return;
    }
    this.#chunks.push(chunk);
    const grant = this.#window.read(chunk.length);
    if (grant > 0) this.#grant(grant);
  }
}

function isRequestHead(head: unknown): head is [string, IncomingHttpHeaders] {
  return Array.isArray(head) && typeof head[0] === "string" && typeof head[1] === "object" && head[1] !== null;
}
