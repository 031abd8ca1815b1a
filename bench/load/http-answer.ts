/** A whole HTTP/1.1 answer. */
export interface HttpAnswer {
  readonly status: number;
  /** Status line and headers as they came. */
  readonly head: string;
  readonly body: string;
}

export type Reading =
  | { readonly kind: "whole"; readonly answer: HttpAnswer }
  /** More bytes have to come. The status is known once the head is there. */
  | { readonly kind: "part"; readonly status: number | undefined }
  | { readonly kind: "malformed"; readonly why: string };

const contentLength = /\r\ncontent-length:[ \t]*(\d+)/i;
const chunked = /\r\ntransfer-encoding:[ \t]*chunked/i;

/**
 * Reads the one answer that the bytes since the request may hold. An HTTP client would hide how an answer was cut, and
 * take more of the CPU that the load shares with what it measures.
 */
export function readAnswer(bytes: Buffer): Reading {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return { kind: "part", status: undefined };
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  if (!head.startsWith("HTTP/1.1 ") || !(status >= 200 && status < 600)) {
    return { kind: "malformed", why: `the answer begins with "${head.slice(0, 40)}"` };
  }
  const start = headEnd + 4;
  const length = contentLength.exec(head)?.[1];
  if (length !== undefined) return ended(bytes, start, start + Number(length), status, head);
  if (chunked.test(head)) return readChunks(bytes, start, status, head);
  if (status === 204 || status === 304) return ended(bytes, start, start, status, head);
  return { kind: "malformed", why: "the answer has neither Content-Length nor chunks" };
}

function ended(bytes: Buffer, start: number, end: number, status: number, head: string): Reading {
  if (bytes.length < end) return { kind: "part", status };
  if (bytes.length > end) return { kind: "malformed", why: `${bytes.length - end} bytes follow the end of the answer` };
  return { kind: "whole", answer: { status, head, body: bytes.toString("utf8", start, end) } };
}

function readChunks(bytes: Buffer, start: number, status: number, head: string): Reading {
  const chunks: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return { kind: "part", status };
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (!(size >= 0)) return { kind: "malformed", why: "the size of a chunk is no number" };
    const end = lineEnd + 2 + size;
    if (bytes.length < end + 2) return { kind: "part", status };
    if (bytes[end] !== 13 || bytes[end + 1] !== 10)
      return { kind: "malformed", why: "a chunk is longer than its size" };
    if (size === 0) {
      const over = bytes.length - end - 2;
      if (over > 0) return { kind: "malformed", why: `${over} bytes follow the end of the answer` };
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      return { kind: "whole", answer: { status, head, body: body.toString("utf8") } };
    }
    chunks.push(bytes.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}
