import { EventEmitter } from "node:events";
import type { ResponseSink } from "../../session/response-sink.ts";
import type { Channel, Sender } from "./channel.ts";
import { SendQueue } from "./flow.ts";
import { frame, frameType, headFrame, maxDataBytes } from "./frame.ts";

/** How many bytes may wait before `write` asks for patience. */
const highWaterMark = 64 * 1024;

/** The largest head, as JSON, that fits into a frame with the beginning of its body. */
const maxHeadBytes = 32 * 1024;

/** Writes the answer to a request that another node passed on. What is written before its head left goes with it. */
export class AnswerSink extends EventEmitter implements ResponseSink, Sender {
  readonly id: number;
  readonly queue = new SendQueue();
  destroyed = false;
  headersSent = false;
  /** Its last byte is on its way to the other node. */
  writableFinished = false;
  readonly #channel: Channel;
  readonly #over: () => void;
  readonly #set: string[] = [];
  /** The head, from `writeHead` until it leaves. */
  #head: string | undefined;
  #wantsDrain = false;

  /** @param over called when nothing more will be sent on the stream */
  constructor(id: number, channel: Channel, over: () => void) {
    super();
    this.id = id;
    this.#channel = channel;
    this.#over = over;
  }

  get writableLength(): number {
    return this.queue.length;
  }

  setHeader(name: string, value: string): void {
    this.#set.push(name, value);
  }

  writeHead(status: number, headers: readonly string[]): void {
    if (this.headersSent) throw new Error("The head of this answer has been written already");
    this.headersSent = true;
    this.#head = JSON.stringify([status, this.#set.length === 0 ? headers : [...this.#set, ...headers]]);
  }

  flushHeaders(): void {
    this.#sendHead("", 0, false);
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.destroyed || this.queue.ended) return false;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    if (!this.#fits(bytes.length) || !this.#sendHead(bytes, bytes.length, false)) this.#queue(bytes);
    this.#wantsDrain = this.queue.length >= highWaterMark;
    return !this.#wantsDrain;
  }

  end(chunk: string | Uint8Array = "", encoding?: "latin1"): void {
    if (this.destroyed || this.queue.ended) return;
    const body = encoding === undefined ? chunk : Buffer.from(chunk as string, encoding);
    const bytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    if (this.#fits(bytes) && this.#sendHead(body, bytes, true)) {
      this.#finish();
      return;
    }
    this.queue.end();
    this.#queue(typeof body === "string" ? Buffer.from(body) : body);
  }

  destroy(): void {
    if (this.destroyed) return;
    this.#channel.send(frame(frameType.reset, this.id));
    this.close();
  }

  /** Nobody reads it any more, or it has left. */
  close(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.queue.drop();
    this.#over();
    this.emit("close");
  }

  grant(bytes: number): void {
    this.queue.grant(bytes);
    this.#channel.sendBody(this);
  }

  sent(last: boolean): void {
    if (last) this.#finish();
    else if (this.#wantsDrain && this.queue.length === 0) {
      this.#wantsDrain = false;
      this.emit("drain");
    }
  }

  #finish(): void {
    this.writableFinished = true;
    this.close();
  }

  /** Whether a body, or its beginning, may leave with its head. */
  #fits(bytes: number): boolean {
    return bytes <= maxDataBytes && !this.#channel.congested;
  }

  /** Gives whether the head left with this. */
  #sendHead(body: string | Uint8Array, bytes: number, last: boolean): boolean {
    if (this.#head === undefined || this.destroyed) return false;
    const head = this.#head;
    this.#head = undefined;
    if (head.length > maxHeadBytes) {
      this.destroy();
      return true;
    }
    this.queue.spend(bytes);
    this.#channel.send(headFrame(frameType.response, this.id, head, body, bytes, last));
    return true;
  }

  #queue(bytes: Uint8Array): void {
    this.flushHeaders();
    this.queue.push(bytes);
    this.#channel.sendBody(this);
  }
}
