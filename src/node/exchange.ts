import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ResponseSink } from "../session/response-sink.ts";

/** One HTTP request and the place for its answer: of Node's http, of a web-standard framework, or of another node. */
export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Whether another node passed it on, and has checked where it comes from. */
  readonly relayed: boolean;
  readonly sink: ResponseSink & {
    setHeader(name: string, value: string): unknown;
    off(event: "close", listener: () => void): unknown;
  };
  /** Reads the body as text. Rejects when the client goes away before its end. */
  body(maxBytes: number): Promise<string | "too-large">;
}

export function nodeExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  return {
    method: request.method ?? "GET",
    url: request.url ?? "/",
    headers: request.headers,
    relayed: false,
    sink: response,
    body: (maxBytes) => readBody(request, maxBytes),
  };
}

/** The client hung up before its request was whole: nobody waits for an answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

function readBody(request: IncomingMessage, maxBytes: number): Promise<string | "too-large"> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let whole = false;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        // The rest is thrown away by Node once the answer has left.
        request.removeAllListeners("data");
        resolve("too-large");
        return;
      }
      chunks.push(chunk);
    });
    request.once("end", () => {
      whole = true;
      resolve(chunks.length === 1 ? (chunks[0] as Buffer).toString() : Buffer.concat(chunks).toString());
    });
    request.once("error", (error) => reject(new ClientGone("The request broke off", { cause: error })));
    // "close" comes after each request, and an error with its stack is too dear to be made for nothing.
    request.once("close", () => whole || reject(new ClientGone("The request broke off")));
  });
}
