/**
 * The frames of the peer link (docs/adr/0011): type and length, the stream or number that it belongs to, and a payload.
 */

/** What a frame is. The numbers are on the wire. */
export const frameType = {
  /** A request that is passed on: head, and its body or the beginning of it. */
  request: 1,
  /** The answer to one: head, and its body or the beginning of it. */
  response: 2,
  /** More of a body. */
  data: 3,
  /** The stream is over, and not whole. */
  reset: 4,
  /** So many more bytes may be sent on the stream. */
  credit: 5,
  ping: 6,
  pong: 7,
  question: 8,
  answer: 9,
  /** The sender ends the connection; it has taken no stream beyond the one named. */
  goodbye: 10,
} as const;

export type FrameType = (typeof frameType)[keyof typeof frameType];

/** Set in a frame's type: the stream's body ends with it. */
const lastFlag = 0x80;

const frameHeaderBytes = 8;

/** The largest payload of a frame, so that one fits into a record (`records.ts`). */
export const maxFrameBytes = 0xffff - frameHeaderBytes;

/** How much of a body one frame carries: larger ones would make small answers wait behind them. */
export const maxDataBytes = 16 * 1024;

/** One frame on its way out. */
export interface Frame {
  readonly type: FrameType;
  readonly last: boolean;
  readonly id: number;
  /** Request and response only: JSON whose characters are bytes, as those of HTTP's headers are. */
  readonly head: string | undefined;
  readonly body: string | Uint8Array;
  /** Bytes of the body. */
  readonly bodyBytes: number;
}

export function headFrame(
  type: typeof frameType.request | typeof frameType.response,
  id: number,
  head: string,
  body: string | Uint8Array,
  bodyBytes: number,
  last: boolean,
): Frame {
  return { type, last, id, head, body, bodyBytes };
}

export function frame(type: FrameType, id: number, body: string | Uint8Array = "", last = false): Frame {
  const bodyBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  return { type, last, id, head: undefined, body, bodyBytes };
}

export function creditFrame(id: number, bytes: number): Frame {
  const body = Buffer.allocUnsafe(4);
  body.writeUInt32BE(bytes);
  return frame(frameType.credit, id, body);
}

export function readCredit(payload: Buffer): number {
  if (payload.length !== 4) throw new PeerFault("a credit of unknown size");
  return payload.readUInt32BE();
}

/** How many bytes a frame takes in a record. */
export function frameBytes({ head, bodyBytes }: Frame): number {
  return frameHeaderBytes + (head === undefined ? 0 : 2 + head.length) + bodyBytes;
}

/** Writes a frame, and gives where the next one begins. */
export function writeFrame(bytes: Buffer, start: number, { type, last, id, head, body, bodyBytes }: Frame): number {
  bytes[start] = last ? type | lastFlag : type;
  let at = start + frameHeaderBytes;
  bytes.writeUIntBE(id, start + 3, 5);
  if (head !== undefined) {
    bytes.writeUInt16BE(head.length, at);
    bytes.write(head, at + 2, "latin1");
    at += 2 + head.length;
  }
  if (typeof body !== "string") bytes.set(body, at);
  else if (bodyBytes > 0) bytes.write(body, at, "utf8");
  at += bodyBytes;
  bytes.writeUInt16BE(at - start - frameHeaderBytes, start + 1);
  return at;
}

/** The other side broke the protocol, or somebody between altered what it sent: nothing on the connection is believed. */
export class PeerFault extends Error {
  override readonly name = "PeerFault";
}

/** Takes a frame that came in. The payload is a view of what was read. */
export type TakeFrame = (type: number, last: boolean, id: number, payload: Buffer) => void;

/** Hands over each frame of a record. */
export function readFrames(payload: Buffer, take: TakeFrame): void {
  let at = 0;
  while (at < payload.length) {
    const begin = at + frameHeaderBytes;
    if (begin > payload.length) throw new PeerFault("a frame was cut off");
    const type = payload[at] as number;
    const id = payload.readUIntBE(at + 3, 5);
    const end = begin + payload.readUInt16BE(at + 1);
    if (end > payload.length) throw new PeerFault("a frame was longer than its record");
    take(type & ~lastFlag, (type & lastFlag) !== 0, id, payload.subarray(begin, end));
    at = end;
  }
}

/** The head of a request or response, and where its body begins. */
export function readHead(payload: Buffer): { readonly head: unknown; readonly body: Buffer } {
  const end = payload.length < 2 ? Number.NaN : 2 + payload.readUInt16BE();
  if (!(end <= payload.length)) throw new PeerFault("a head was cut off");
  try {
    return { head: JSON.parse(payload.toString("latin1", 2, end)), body: payload.subarray(end) };
  } catch (error) {
    throw new PeerFault("a head was not JSON", { cause: error });
  }
}
