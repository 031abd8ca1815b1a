import { type ClientRequest, type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { createSecureContext, type PeerCertificate, type SecureContext, type TLSSocket } from "node:tls";
import { createBrotliDecompress, createUnzip } from "node:zlib";
import { failureOf, late, stopped } from "./failure.ts";
import type { SeenFailure } from "./seen.ts";

/** What is examined, and how it is reached. */
export interface Target {
  readonly url: URL;
  /** Sent with every request: an authorization, say. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The certificates to trust, in PEM; the usual ones where absent. */
  readonly ca?: readonly string[] | undefined;
  /** Whether any certificate will do. */
  readonly insecure: boolean;
}

/** One request, to be sent on a connection of its own. */
export interface Ask {
  readonly method: "GET" | "POST" | "DELETE";
  /** A header with several values is sent as several lines. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** How long the head of the answer may take, in milliseconds. */
  readonly headWithinMs?: number;
  /** In place of the target's own. */
  readonly url?: URL;
  /** Whether the answer is waited for also when the visit is ended: it names something that has to be ended too. */
  readonly outlasts?: boolean;
}

/** An answer whose head has come; its body is read as it comes, and decompressed. */
export interface Opened extends Omit<Head, "errorText"> {
  readonly kind: "opened";
  readonly head: Head;
  readonly body: Readable;
  readonly headMs: number;
  /** When the request was sent, by `performance.now()`. */
  readonly sentAt: number;
}

export interface SeenCertificate {
  readonly validTo: number;
  readonly issuer: string;
}

/** An answer's head, and the body of an error, kept to tell what stands before the server. */
export interface Head {
  readonly method: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  errorText: string;
}

export const answerWithinMs = 8_000;

/** Sends requests to the target, and ends them all in the end. */
export class Endpoint {
  /** Changes when it turns out that the address redirects. */
  target: Target;
  /** The heads of all answers: a visit sends a few dozen requests. */
  readonly heads: Head[] = [];
  /** The certificate that was shown first. */
  certificate: SeenCertificate | undefined;
  readonly #signal: AbortSignal;
  readonly #open = new Set<ClientRequest>();
  /** Made once: to read all the authorities' certificates takes longer than a handshake. */
  readonly #trusting: SecureContext | undefined;

  /** @param signal ends everything */
  constructor(target: Target, signal: AbortSignal) {
    this.target = target;
    this.#signal = signal;
    this.#trusting = target.ca && createSecureContext({ ca: [...target.ca] });
  }

  get url(): URL {
    return this.target.url;
  }

  /** The visit is over, or its time is: no more requests. */
  get stopped(): boolean {
    return this.#signal.aborted;
  }

  /** Sends a request on a fresh connection, and resolves when the head of its answer has come. Never rejects. */
  open(ask: Ask): Promise<Opened | SeenFailure> {
    const { headWithinMs = answerWithinMs } = ask;
    if (this.stopped) return Promise.resolve({ kind: "failure", failure: stopped });
    return new Promise((resolve) => {
      const sentAt = performance.now();
      let request: ClientRequest;
      try {
        request = this.#send(ask);
      } catch (error) {
        // A header value that Node refuses to send, say.
        resolve({ kind: "failure", failure: failureOf(error) });
        return;
      }
      this.#open.add(request);
      const timer = setTimeout(() => {
        resolve({ kind: "failure", failure: late(headWithinMs) });
        request.destroy();
      }, headWithinMs);
      request.on("error", (error) => {
        clearTimeout(timer);
        resolve({ kind: "failure", failure: failureOf(error) });
      });
      request.on("close", () => {
        clearTimeout(timer);
        this.#open.delete(request);
      });
      request.on("response", (answer) => {
        clearTimeout(timer);
        resolve(this.#opened(ask, answer, sentAt));
      });
      request.end(ask.body);
    });
  }

  /** Ends what is still open. */
  close(): void {
    for (const request of this.#open) request.destroy();
  }

  #send({ method, headers, body, url = this.url, outlasts = false }: Ask): ClientRequest {
    const { insecure } = this.target;
    const all: Record<string, string | readonly string[]> = {};
    for (const [name, value] of this.target.headers) all[name.toLowerCase()] = value;
    // What Node's own fetch accepts, and so most clients: a proxy that compresses does it for them too.
    all["accept-encoding"] = "gzip, deflate, br";
    Object.assign(all, headers);
    if (body !== undefined) all["content-length"] = String(Buffer.byteLength(body));
    const options: RequestOptions = {
      method,
      headers: all as RequestOptions["headers"] & object,
      agent: false,
      ...(outlasts ? {} : { signal: this.#signal }),
    };
    if (url.protocol !== "https:") return requestHttp(url, options);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    return requestHttps(url, {
      ...options,
      ...(this.#trusting === undefined ? {} : { secureContext: this.#trusting }),
      // By the address, whatever the Host header says; an IP address is no name for SNI.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: !insecure,
    });
  }

  #opened({ method }: Ask, answer: IncomingMessage, sentAt: number): Opened {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
    }
    const setCookies = answer.headers["set-cookie"] ?? [];
    const status = answer.statusCode ?? 0;
    const head: Head = { method, status, headers, setCookies, errorText: "" };
    this.heads.push(head);
    this.certificate ??= certificateOf(answer.socket as TLSSocket);
    const headMs = performance.now() - sentAt;
    return { ...head, kind: "opened", head, body: decoded(answer), headMs, sentAt };
  }
}

function decoded(answer: IncomingMessage): Readable {
  const encoding = answer.headers["content-encoding"]?.toLowerCase();
  const decoder =
    encoding === "br" ? createBrotliDecompress() : encoding === "gzip" || encoding === "deflate" ? createUnzip() : null;
  if (decoder === null) return answer;
  // Whoever reads sees the decoder's end; the connection goes with it.
  pipeline(answer, decoder, () => {});
  return decoder;
}

function certificateOf(socket: TLSSocket): SeenCertificate | undefined {
  if (typeof socket.getPeerCertificate !== "function") return undefined;
  const certificate = socket.getPeerCertificate() as Partial<PeerCertificate>;
  if (certificate.valid_to === undefined) return undefined;
  const { CN, O } = certificate.issuer ?? {};
  return { validTo: Date.parse(certificate.valid_to), issuer: String(CN ?? O ?? "an unnamed authority") };
}
