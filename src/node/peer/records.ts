import { type Frame, frameBytes, PeerFault, readFrames, type TakeFrame, writeFrame } from "./frame.ts";
import { Mac, macBytes } from "./mac.ts";

/**
 * Records: what one side wrote at a time, under one proof. Length (2 bytes), number (6 bytes), frames, and a MAC
 * over all that (`mac.ts`). Each direction has a key of its own and counts from 0, so that nothing on the wire can
 * be put in, altered, left out, sent again or put into another order. HMAC-SHA256 and not AES-GCM: of a record of 700
 * bytes it costs Node 4 µs, against 25 to 30 (adr/0011).
 */
const headerBytes = 8;
const overhead = headerBytes + macBytes;

/** The most bytes of frames in a record. */
const maxPayload = 0xffff;

/** Makes records of frames. */
export class RecordWriter {
  readonly #mac: Mac;
  #number = 0;

  constructor(key: Buffer) {
    this.#mac = new Mac(key);
  }

  /** Gives the bytes to write: one record, or as many as the frames need. */
  write(frames: readonly Frame[]): Buffer {
    const sizes = frames.map(frameBytes);
    const bytes = Buffer.allocUnsafe(recordsBytes(sizes));
    let start = 0;
    let at = headerBytes;
    for (const [index, frame] of frames.entries()) {
      if (at - start - headerBytes + (sizes[index] as number) > maxPayload) {
        start = this.#close(bytes, start, at);
        at = start + headerBytes;
      }
      at = writeFrame(bytes, at, frame);
    }
    this.#close(bytes, start, at);
    return bytes;
  }

  #close(bytes: Buffer, start: number, end: number): number {
    bytes.writeUInt16BE(end - start - headerBytes, start);
    bytes.writeUIntBE(this.#number++, start + 2, 6);
    bytes.write(this.#mac.of(bytes.subarray(start, end)), end, "latin1");
    return end + macBytes;
  }
}

/** Frames never span records: a frame that doesn't fit any more begins the next. */
function recordsBytes(sizes: readonly number[]): number {
  let total = overhead;
  let payload = 0;
  for (const size of sizes) {
    if (size > maxPayload) throw new RangeError(`A frame of ${size} bytes is too large for a record`);
    if (payload + size > maxPayload) {
      total += overhead;
      payload = 0;
    }
    payload += size;
    total += size;
  }
  return total;
}

/** Takes records apart, however the network cut them. */
export class RecordReader {
  readonly #mac: Mac;
  readonly #take: TakeFrame;
  #number = 0;
  /** The beginning of a record whose rest has not come: its header at least in part, and room for it all once known. */
  #partial: Buffer = Buffer.alloc(0);
  #held = 0;

  constructor(key: Buffer, take: TakeFrame) {
    this.#mac = new Mac(key);
    this.#take = take;
  }

  /** @throws PeerFault when a record is not what the other side must have sent next */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#held > 0) {
        rest = this.#complete(rest);
        continue;
      }
      const size = rest.length < headerBytes ? Number.POSITIVE_INFINITY : overhead + rest.readUInt16BE();
      if (size > rest.length) {
        this.#hold(rest, size);
        return;
      }
      this.#open(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  }

  #hold(bytes: Buffer, size: number): void {
    this.#partial = Buffer.allocUnsafe(Number.isFinite(size) ? size : headerBytes);
    this.#held = bytes.copy(this.#partial);
  }

  /** Adds to the partial record, and gives what is left of the chunk. */
  #complete(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#partial, this.#held);
    this.#held += taken;
    if (this.#held === this.#partial.length) {
      const whole = this.#partial;
      if (whole.length === headerBytes) this.#hold(whole, overhead + whole.readUInt16BE());
      else {
        this.#held = 0;
        this.#open(whole);
      }
    }
    return chunk.subarray(taken);
  }

  #open(record: Buffer): void {
    const end = record.length - macBytes;
    const number = this.#number++;
    if (record.readUIntBE(2, 6) !== number || !this.#mac.isOf(record.subarray(0, end), record.subarray(end))) {
      throw new PeerFault("a record was altered, forged or out of order");
    }
    readFrames(record.subarray(headerBytes, end), this.#take);
  }
}
