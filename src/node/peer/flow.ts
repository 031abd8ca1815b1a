import { maxDataBytes, PeerFault } from "./frame.ts";

/** How many bytes of a stream's body may be under way or unread at its receiver, in each direction. */
export const windowBytes = 256 * 1024;

/** The part of a body that has not been handed to the connection yet, and how much of it the receiver has room for. */
export class SendQueue {
  #chunks: Uint8Array[] = [];
  /** How much of the first chunk has gone already. */
  #offset = 0;
  #length = 0;
  #credit = windowBytes;
  #ended = false;
  #lastSent = false;

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether there is something that may be sent now. */
  get ready(): boolean {
    if (this.#lastSent) return false;
    return this.#length > 0 ? this.#credit > 0 : this.#ended;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  end(): void {
    this.#ended = true;
  }

  /** Bytes of the body that went with the head. */
  spend(bytes: number): void {
    this.#credit -= bytes;
  }

  grant(bytes: number): void {
    this.#credit += bytes;
  }

  /** The next piece of the body, and whether it is the last. Only while `ready`. */
  take(): { readonly chunk: Uint8Array; readonly last: boolean } {
    const first = this.#chunks[0] ?? nothing;
    const end = Math.min(first.length, this.#offset + Math.min(maxDataBytes, this.#credit));
    const chunk = first.subarray(this.#offset, end);
    this.#length -= chunk.length;
    this.#credit -= chunk.length;
    if (end === first.length) {
      this.#chunks.shift();
      this.#offset = 0;
    } else {
      this.#offset = end;
    }
    this.#lastSent = this.#ended && this.#length === 0;
    return { chunk, last: this.#lastSent };
  }

  /** Nobody waits for the rest any more. */
  drop(): void {
    this.#chunks = [];
    this.#length = 0;
    this.#lastSent = true;
  }
}

const nothing = new Uint8Array(0);

/** The receiver's side of a stream's window. */
export class ReceiveWindow {
  #unread = 0;
  #granted = 0;

  /** @throws PeerFault when the sender goes beyond what it was granted */
  received(bytes: number): void {
    this.#unread += bytes;
    if (this.#unread + this.#granted > windowBytes) throw new PeerFault("a stream went beyond its window");
  }

  /** Notes that bytes were read. Gives how many to grant now: half a window at a time, so that short bodies cost nothing. */
  read(bytes: number): number {
    this.#unread -= bytes;
    this.#granted += bytes;
    if (this.#granted < windowBytes / 2) return 0;
    const grant = this.#granted;
    this.#granted = 0;
    return grant;
  }
}
