import { EventEmitter } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import type { ResponseSink } from "../session/response-sink.ts";
import type { Exchange } from "./exchange.ts";

/** Carries a web-standard request through the same way as a request of Node's http, and gives its response. */
export function webExchange(request: Request): { exchange: Exchange; response: Promise<Response> } {
  const { pathname, search, host } = new URL(request.url);
  const headers: IncomingHttpHeaders = { host };
  for (const [name, value] of request.headers) headers[name] = value;
  const sink = new WebSink(request.signal);
  const exchange: Exchange = {
    method: request.method,
    url: pathname + search,
    headers,
    sink,
    body: (maxBytes) => readBody(request, maxBytes),
  };
  return { exchange, response: sink.response };
}

async function readBody(request: Request, maxBytes: number): Promise<string | "too-large"> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (request.body !== null) {
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > maxBytes) return "too-large";
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks).toString();
}

/** How many bytes the framework may leave unread before a stream counts as full. */
const highWaterMark = 64 * 1024;

const statusesWithoutBody = new Set([101, 204, 205, 304]);

/** A ResponseSink that fills a web-standard Response. */
class WebSink extends EventEmitter implements ResponseSink {
  readonly response: Promise<Response>;
  destroyed = false;
  headersSent = false;
  readonly #resolve: (response: Response) => void;
  readonly #headers = new Headers();
  readonly #body: ReadableStream;
  #controller: ReadableStreamDefaultController | undefined;
  #encoder = new TextEncoder();
  #head: { status: number; headers: Headers } | undefined;

  constructor(signal: AbortSignal) {
    super();
    let resolve: (response: Response) => void = () => {};
    this.response = new Promise((settle) => {
      resolve = settle;
    });
    this.#resolve = resolve;
    this.#body = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => this.#close(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark }),
    );
    signal.addEventListener("abort", () => this.#close(), { once: true });
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

  write(text: string): boolean {
    this.flushHeaders();
    if (this.destroyed) return false;
    this.#controller?.enqueue(this.#encoder.encode(text));
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  end(text?: string): void {
    if (text !== undefined && text !== "") this.write(text);
    this.flushHeaders();
    if (this.destroyed) return;
    this.#controller?.close();
    this.#close();
  }

  #close(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}
