import { EventEmitter } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import type { ResponseSink } from "../session/response-sink.ts";
import { ClientGone, type Exchange } from "./exchange.ts";

/**
 * Carries a web-standard request through the same way as a request of Node's http, and gives its response. That rejects,
 * as `fetch` does, when the caller aborts before there is one.
 */
export function webExchange(request: Request): { exchange: Exchange; response: Promise<Response> } {
  const { pathname, search, host } = new URL(request.url);
  const headers: IncomingHttpHeaders = { host };
  for (const [name, value] of request.headers) headers[name] = value;
  const sink = new WebSink(request.signal);
  const exchange: Exchange = {
    method: request.method,
    url: pathname + search,
    headers,
    relayed: false,
    sink,
    body: async (maxBytes) => {
      try {
        return await readBody(request, maxBytes);
      } catch (error) {
        sink.abandon(error);
        throw new ClientGone("The request broke off", { cause: error });
      }
    },
  };
  return { exchange, response: sink.response };
}

async function readBody({ body, signal }: Request, maxBytes: number): Promise<string | "too-large"> {
  if (body === null) return "";
  const reader = body.getReader();
  // The body of a request doesn't end by the request's signal, and its sender may be gone without a word.
  const giveUp = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.byteLength;
      if (size > maxBytes) {
        giveUp();
        return "too-large";
      }
      chunks.push(part.value);
    }
    signal.throwIfAborted();
    return Buffer.concat(chunks).toString();
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** How many bytes the framework may leave unread before a stream counts as full. */
const highWaterMark = 64 * 1024;

const statusesWithoutBody = new Set([101, 204, 205, 304]);

/** A ResponseSink that fills a web-standard Response. */
class WebSink extends EventEmitter implements ResponseSink {
  readonly response: Promise<Response>;
  destroyed = false;
  writableFinished = false;
  headersSent = false;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #headers = new Headers();
  readonly #body: ReadableStream;
  #controller: ReadableStreamDefaultController | undefined;
  #encoder = new TextEncoder();
  #head: { status: number; headers: Headers } | undefined;
  /** Nothing comes after what has been written. */
  #isEnding = false;

  constructor(signal: AbortSignal) {
    super();
    let resolve: (response: Response) => void = () => {};
    let reject: (reason: unknown) => void = () => {};
    this.response = new Promise((...settle) => {
      [resolve, reject] = settle;
    });
    this.#resolve = resolve;
    this.#reject = reject;
    this.#body = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.emit("drain");
          this.#finishIfRead();
        },
        cancel: () => this.#close(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark }),
    );
    if (signal.aborted) this.abandon(signal.reason);
    else signal.addEventListener("abort", () => this.abandon(signal.reason), { once: true });
  }

  /** The caller is gone: nobody reads an answer any more. */
  abandon(reason: unknown): void {
    if (this.destroyed) return;
    this.#reject(reason);
    this.#controller?.error(reason);
    this.#close();
  }

  get writableLength(): number {
    return Math.max(0, highWaterMark - (this.#controller?.desiredSize ?? highWaterMark));
  }

  setHeader(name: string, value: string): void {
    this.#headers.set(name, value);
  }

  writeHead(status: number, headers: readonly string[]): void {
    for (let index = 0; index < headers.length; index += 2) {
      this.#headers.set(headers[index] as string, headers[index + 1] as string);
    }
    this.#head = { status, headers: this.#headers };
    this.headersSent = true;
  }

  flushHeaders(): void {
    if (this.#head === undefined) return;
    this.#resolve(new Response(statusesWithoutBody.has(this.#head.status) ? null : this.#body, this.#head));
    this.#head = undefined;
  }

  write(chunk: string | Uint8Array): boolean {
    this.flushHeaders();
    if (this.destroyed) return false;
    this.#controller?.enqueue(typeof chunk === "string" ? this.#encoder.encode(chunk) : chunk);
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  end(chunk?: string | Uint8Array, encoding?: "latin1"): void {
    if (chunk !== undefined && chunk.length > 0) {
      this.write(typeof chunk === "string" && encoding !== undefined ? Buffer.from(chunk, encoding) : chunk);
    }
    this.flushHeaders();
    this.#isEnding = true;
    this.#finishIfRead();
  }

  destroy(): void {
    this.flushHeaders();
    this.abandon(new Error("The answer broke off"));
  }

  /** It is over once the framework has taken all of it: what it never reads, its client never gets. */
  #finishIfRead(): void {
    if (!this.#isEnding || this.destroyed || this.writableLength > 0) return;
    this.writableFinished = true;
    this.#controller?.close();
    this.#close();
  }

  #close(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}
