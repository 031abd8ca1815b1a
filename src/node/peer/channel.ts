import type { Socket } from "node:net";
import type { SendQueue } from "./flow.ts";
import { type Frame, frame, frameBytes, frameType, PeerFault } from "./frame.ts";
import type { DirectionKeys } from "./greeting.ts";
import { RecordReader, RecordWriter } from "./records.ts";

/** What is done with what comes in: the side that asks, or the side that answers. */
export interface ChannelEnd {
  /** @throws PeerFault when the frame is none that the other side may send */
  frame(type: number, last: boolean, id: number, payload: Buffer): void;
  /** Once a second. */
  tick(): void;
  /** The connection is gone: called once. `isFault`: because the other side, or somebody between, broke the protocol. */
  closed(reason: string, isFault: boolean): void;
}

/** A stream that has a body to send. */
export interface Sender {
  readonly id: number;
  readonly queue: SendQueue;
  /** A piece of the body was taken. */
  sent(last: boolean): void;
}

/** Signs of life and deadlines go by ticks, not by a clock: a process that was frozen itself must not blame the others. */
const defaultTickMs = 1_000;

/** After so many ticks without a word, the other side is asked for a sign of life; after so many it is given up. */
const pingAfterTicks = 5;
const deadAfterTicks = 15;

/** How many bytes of bodies are written at a time: what a small answer may have to wait behind. */
const bulkBytes = 64 * 1024;

/**
 * A connection whose sides have proven who they are: frames in both directions. All frames of a tick leave in one write.
 * Bodies take turns, one frame each, as far as their receivers have room; heads and small answers never wait for them.
 */
export class Channel {
  readonly #socket: Socket;
  readonly #writer: RecordWriter;
  readonly #reader: RecordReader;
  readonly #tick: NodeJS.Timeout;
  #end: ChannelEnd | undefined;
  #frames: Frame[] = [];
  /** Those that have something to send now, in their turn. */
  readonly #senders = new Set<Sender>();
  #scheduled = false;
  #congested = false;
  #ended = false;
  #closed = false;
  #quietTicks = 0;
  /** When something last came in, by a clock that nobody sets. */
  heardAt = performance.now();

  constructor(socket: Socket, keys: DirectionKeys, tickMs = defaultTickMs) {
    this.#socket = socket;
    this.#writer = new RecordWriter(keys.outgoing);
    this.#reader = new RecordReader(keys.incoming, (type, last, id, payload) => this.#take(type, last, id, payload));
    this.#tick = setInterval(() => this.#onTick(), tickMs).unref();
  }

  /** Begins to read. `early` is what came in together with the greeting. */
  start(end: ChannelEnd, early: Buffer): void {
    this.#end = end;
    const socket = this.#socket;
    let reason = "the connection was closed";
    socket.on("error", (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message;
    });
    socket.on("close", () => this.#close(reason, false));
    socket.on("drain", () => {
      this.#congested = false;
      if (this.#senders.size > 0) this.#schedule();
    });
    socket.on("data", (chunk: Buffer) => this.#push(chunk));
    if (early.length > 0) this.#push(early);
    // It may have closed before anybody listened.
    if (socket.destroyed) this.#close(reason, false);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a body had better wait for its turn than leave with its head. */
  get congested(): boolean {
    return this.#congested;
  }

  send(frame: Frame): void {
    if (this.#closed) return;
    this.#frames.push(frame);
    this.#schedule();
  }

  /** Lets a stream's body have its turns, if it has something that may be sent. */
  sendBody(sender: Sender): void {
    if (!sender.queue.ready) return;
    this.#senders.add(sender);
    this.#schedule();
  }

  forget(sender: Sender): void {
    this.#senders.delete(sender);
  }

  /** Whether a frame of this stream has not been given to the network: then nobody has read it. */
  isUnsent(id: number, type: number): boolean {
    return this.#frames.some((frame) => frame.id === id && frame.type === type);
  }

  /** Ends the connection once all frames have left. */
  end(): void {
    if (this.#ended || this.#closed) return;
    this.#flush();
    this.#ended = true;
    this.#socket.end();
  }

  /** Breaks the connection off. */
  destroy(reason: string, isFault = false): void {
    this.#close(reason, isFault);
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#ended) return;
    this.#scheduled = true;
    // After all that came in at this turn of the loop was handled: their answers leave together.
    setImmediate(this.#flush);
  }

  #flush = (): void => {
    this.#scheduled = false;
    // What a socket that is gone would only throw away stays here, so that it counts as unsent.
    if (this.#closed || !this.#socket.writable) return;
    if (!this.#congested) this.#takeTurns();
    if (this.#frames.length === 0) return;
    const frames = this.#frames;
    this.#frames = [];
    this.#congested = !this.#socket.write(this.#writer.write(frames));
    if (!this.#congested && this.#senders.size > 0) this.#schedule();
  };

  /** One frame of each body in turn, until enough is under way. */
  #takeTurns(): void {
    let bytes = 0;
    for (const sender of this.#senders) {
      if (bytes >= bulkBytes) return;
      this.#senders.delete(sender);
      const { chunk, last } = sender.queue.take();
      const piece = frame(frameType.data, sender.id, chunk, last);
      this.#frames.push(piece);
      bytes += frameBytes(piece);
      // Added again at the end of the set, which this loop walks on to.
      if (sender.queue.ready) this.#senders.add(sender);
      sender.sent(last);
    }
  }

  #push(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (error instanceof PeerFault) this.#close(error.message, true);
      else this.#close(`internal error: ${String(error)}`, true);
    }
  }

  #take(type: number, last: boolean, id: number, payload: Buffer): void {
    // What a fault or a reset left over of the record.
    if (this.#closed) return;
    this.#quietTicks = 0;
    this.heardAt = performance.now();
    if (type === frameType.ping) this.send(frame(frameType.pong, id));
    else this.#end?.frame(type, last, id, payload);
  }

  #onTick(): void {
    this.#quietTicks += 1;
    if (this.#quietTicks >= deadAfterTicks) {
      this.#close("it gave no sign of life", false);
      return;
    }
    if (this.#quietTicks % pingAfterTicks === 0) this.send(frame(frameType.ping, 0));
    this.#end?.tick();
  }

  #close(reason: string, isFault: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#tick);
    this.#senders.clear();
    this.#socket.destroy();
    this.#end?.closed(reason, isFault);
    this.#frames = [];
  }
}
