import type { Channel, ChannelEnd } from "./channel.ts";
import { frame, frameType, headFrame, maxDataBytes, maxFrameBytes, PeerFault } from "./frame.ts";
import { type Answer, parseAnswer, type Question, writeSaid } from "./question.ts";
import { type AnswerTaker, RequestStream, type StreamLink } from "./request-stream.ts";

/** A request that is passed on to another node. */
export interface PeerRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | undefined;
}

/** The most requests under way on one connection. Streams last for hours; calls wait for none of them. */
const maxStreams = 16_384;
const maxQuestions = 1_024;

/** Who keeps the connection. */
export interface LinkWatcher {
  /** No new requests may go this way: it is gone, or the other side says goodbye. Not called for one that was retired. */
  unusable(reason: string, isFault: boolean): void;
  closed(): void;
}

interface Waiting {
  readonly settle: (answer: Answer | "lost" | undefined) => void;
}

/** The side of a connection that asks: requests, questions and signs of life. */
export class Dialled implements ChannelEnd, StreamLink {
  readonly #channel: Channel;
  readonly #streams = new Map<number, RequestStream>();
  readonly #questions = new Map<number, Waiting>();
  readonly #watcher: LinkWatcher;
  readonly headTicks: number;
  #last = 0;
  #retired = false;

  constructor(channel: Channel, watcher: LinkWatcher, headTicks: number) {
    this.#channel = channel;
    this.#watcher = watcher;
    this.headTicks = headTicks;
  }

  heardWithin(ms: number): boolean {
    return performance.now() - this.#channel.heardAt < ms;
  }

  request({ method, headers, body }: PeerRequest, taker: AnswerTaker): void {
    const head = JSON.stringify([method, headers]);
    if (this.#retired || this.#channel.closed || this.#streams.size >= maxStreams || head.length + 2 > maxFrameBytes) {
      taker.lost("unsent");
      return;
    }
    this.#last += 1;
    const stream = new RequestStream(this.#last, this, taker);
    this.#streams.set(stream.id, stream);
    const bodyBytes = body === undefined ? 0 : Buffer.byteLength(body);
    if (bodyBytes === 0 || (head.length + bodyBytes <= maxDataBytes && !this.#channel.congested)) {
      this.#channel.send(headFrame(frameType.request, stream.id, head, body ?? "", bodyBytes, true));
    } else {
      this.#channel.send(headFrame(frameType.request, stream.id, head, "", 0, false));
      stream.queue.push(Buffer.from(body as string));
      stream.queue.end();
      this.#channel.sendBody(stream);
    }
    taker.opened(stream);
  }

  /** Whether the other side answers in time. `"lost"`: the connection broke meanwhile. */
  async ping(deadlineMs: number): Promise<boolean | "lost"> {
    const answer = await this.#ask(deadlineMs, (id) => frame(frameType.ping, id));
    return typeof answer === "object" || (answer === "lost" && "lost");
  }

  /** Asks a question, and gives the answer, or undefined when none came in time or the other side has none. */
  async ask(question: Question, deadlineMs: number): Promise<Answer | undefined | "lost"> {
    const text = writeSaid(question);
    return this.#ask(deadlineMs, (id) => frame(frameType.question, id, text));
  }

  /** Takes no new requests, and ends when the last answer has. */
  retire(): void {
    this.#retired = true;
    this.#endIfDone();
  }

  destroy(reason: string): void {
    this.#channel.destroy(reason);
  }

  frame(type: number, last: boolean, id: number, payload: Buffer): void {
    switch (type) {
      case frameType.response:
        this.#opened(id)?.head(payload, last);
        break;
      case frameType.data:
        this.#opened(id)?.data(payload, last);
        break;
      case frameType.reset:
        this.#opened(id)?.reset(payload);
        break;
      case frameType.credit:
        this.#opened(id)?.credit(payload);
        break;
      case frameType.pong:
        this.#questions.get(id)?.settle({});
        break;
      case frameType.answer:
        this.#questions.get(id)?.settle(parseAnswer(payload));
        break;
      case frameType.goodbye:
        this.#goodbye(id);
        break;
      default:
        throw new PeerFault(`a frame of type ${type}, which no listener sends`);
    }
  }

  tick(): void {
    for (const stream of this.#streams.values()) stream.tick();
  }

  closed(reason: string, isFault: boolean): void {
    this.#unusable(reason, isFault);
    for (const stream of this.#streams.values()) {
      stream.end(this.#channel.isUnsent(stream.id, frameType.request) ? "unsent" : "lost");
    }
    for (const { settle } of [...this.#questions.values()]) settle("lost");
    this.#watcher.closed();
  }

  /** For streams: what they have to say, and their end. */
  get channel(): Channel {
    return this.#channel;
  }

  over(stream: RequestStream): void {
    this.#streams.delete(stream.id);
    this.#channel.forget(stream);
    if (this.#retired) this.#endIfDone();
  }

  /** Undefined: what the other side sent before it heard that nobody waits any more. */
  #opened(id: number): RequestStream | undefined {
    if (id > this.#last) throw new PeerFault("an answer to what was not asked");
    return this.#streams.get(id);
  }

  #goodbye(lastTaken: number): void {
    this.#unusable("the node is stopping", false);
    for (const stream of this.#streams.values()) {
      if (stream.id > lastTaken) stream.end("unsent");
    }
    this.#endIfDone();
  }

  #unusable(reason: string, isFault: boolean): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#watcher.unusable(reason, isFault);
  }

  #endIfDone(): void {
    if (this.#streams.size === 0 && this.#questions.size === 0 && !this.#channel.closed) this.#channel.end();
  }

  #ask(deadlineMs: number, make: (id: number) => ReturnType<typeof frame>): Promise<Answer | undefined | "lost"> {
    if (this.#channel.closed || this.#retired) return Promise.resolve("lost");
    if (this.#questions.size >= maxQuestions) return Promise.resolve(undefined);
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      const settle = (answer: Answer | "lost" | undefined) => {
        clearTimeout(timer);
        this.#questions.delete(id);
        resolve(answer);
        if (this.#retired) this.#endIfDone();
      };
      const timer = setTimeout(settle, deadlineMs, undefined);
      this.#questions.set(id, { settle });
      this.#channel.send(make(id));
    });
  }
}
