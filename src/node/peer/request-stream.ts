import type { Channel, Sender } from "./channel.ts";
import { ReceiveWindow, SendQueue } from "./flow.ts";
import { creditFrame, frame, frameType, PeerFault, readCredit, readHead } from "./frame.ts";

/** Why an answer will not come, or not to its end. */
export type Loss =
  /** Nobody has read the request: it may be sent again, to whomever. */
  | "unsent"
  /** The connection is gone, or no head came in time: the request may have been read. */
  | "lost"
  /** The owner itself broke its answer off. */
  | "broken-off";

/** Who waits for an answer. */
export interface AnswerTaker {
  /** The request is on its way. */
  opened(stream: AnswerStream): void;
  /** The head, and the body or its beginning. Headers are name and value in turns. */
  head(status: number, headers: string[], body: Buffer, last: boolean): void;
  /** More of the body. The chunk is good for this call only, or as long as nobody minds what else it keeps in memory. */
  data(chunk: Buffer, last: boolean): void;
  lost(how: Loss): void;
}

/** What a taker can do to the answer's stream. */
export interface AnswerStream {
  /** So many bytes of the body have been passed on: the owner may send as many more. */
  read(bytes: number): void;
  /** Nobody waits any more. No more is heard of the stream. */
  cancel(): void;
}

/** The connection that a request goes by. */
export interface StreamLink {
  readonly channel: Channel;
  /** How long the head of an answer may take, in ticks. */
  readonly headTicks: number;
  /** Nothing more will be sent or taken on the stream. */
  over(stream: RequestStream): void;
}

const leastHeadTicks = 10;

/**
 * How long the head of an answer may take, in ticks of a second. A call's head leaves its owner after 20 ms, however long
 * it takes; but the request may be held there first, for so many milliseconds.
 */
export function headTicksFor(holdMs: number): number {
  return Math.max(leastHeadTicks, Math.ceil(holdMs / 1_000) + 2);
}

/** One request and its answer. */
export class RequestStream implements Sender, AnswerStream {
  readonly id: number;
  readonly queue = new SendQueue();
  readonly #link: StreamLink;
  readonly #taker: AnswerTaker;
  readonly #window = new ReceiveWindow();
  #ticks = 0;
  #answered = false;
  #ended = false;

  constructor(id: number, link: StreamLink, taker: AnswerTaker) {
    this.id = id;
    this.#link = link;
    this.#taker = taker;
  }

  sent(): void {}

  head(payload: Buffer, last: boolean): void {
    const { head, body } = readHead(payload);
    if (this.#answered || !isAnswerHead(head)) throw new PeerFault("an answer's head can't be understood");
    this.#answered = true;
    this.#window.received(body.length);
    if (last) this.#over();
    this.#taker.head(head[0], head[1], body, last);
  }

  data(chunk: Buffer, last: boolean): void {
    if (!this.#answered) throw new PeerFault("a body came before its head");
    this.#window.received(chunk.length);
    if (last) this.#over();
    this.#taker.data(chunk, last);
  }

  reset(payload: Buffer): void {
    this.end(payload.length > 0 && !this.#answered ? "unsent" : "broken-off");
  }

  credit(payload: Buffer): void {
    this.queue.grant(readCredit(payload));
    this.#link.channel.sendBody(this);
  }

  tick(): void {
    if (this.#answered) return;
    this.#ticks += 1;
    if (this.#ticks < this.#link.headTicks) return;
    this.#tell();
    this.end("lost");
  }

  read(bytes: number): void {
    if (this.#ended) return;
    const grant = this.#window.read(bytes);
    if (grant > 0) this.#link.channel.send(creditFrame(this.id, grant));
  }

  cancel(): void {
    if (this.#ended) return;
    this.#tell();
    this.#over();
  }

  end(how: Loss): void {
    if (this.#ended) return;
    this.#over();
    this.#taker.lost(how);
  }

  #tell(): void {
    this.#link.channel.send(frame(frameType.reset, this.id));
  }

  #over(): void {
    this.#ended = true;
    this.queue.drop();
    this.#link.over(this);
  }
}

function isAnswerHead(head: unknown): head is [number, string[]] {
  return Array.isArray(head) && Number.isInteger(head[0]) && Array.isArray(head[1]);
}
