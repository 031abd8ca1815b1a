import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Log } from "../ports/log.ts";
import { bodyTooLarge, maxBodyBytes } from "../session/http-checks.ts";
import { answer, answerJson } from "../session/response-sink.ts";
import { ClientGone, type Exchange, nodeExchange } from "./exchange.ts";
import { ProofChecker, proofHeader } from "./peer-proof.ts";

/** The header that marks what a node answers to another node, rather than to the client behind it. */
export const answerHeader = "mooring-answer";

/** How long a request may take to arrive: longer than the other node keeps an unused connection open. */
const requestDeadlineMs = 120_000;

export interface PeerLinkParts {
  /** This node's tag: what is sent to another one is not good here. */
  readonly tag: string;
  readonly secret: string;
  readonly log: Log;
  now(): number;
  /** Answers a request that another node passed on. */
  relayed(exchange: Exchange): Promise<void>;
}

/**
 * The listener for other nodes. It takes nothing that does not prove, by the cluster's secret, that it comes from one
 * of them, is meant for this node, and is new.
 */
export class PeerLink {
  readonly #server: Server;
  readonly #parts: PeerLinkParts;
  readonly #checker: ProofChecker;

  private constructor(parts: PeerLinkParts) {
    this.#parts = parts;
    this.#checker = new ProofChecker(parts.secret);
    this.#server = createServer((request, response) => void this.#handle(request, response));
    // Only the node that opened a connection closes it when idle: else a request could meet its end.
    this.#server.keepAliveTimeout = 0;
    // From the first byte of a request to its last. A connection may be idle for longer before and between them.
    this.#server.requestTimeout = requestDeadlineMs;
    this.#server.headersTimeout = requestDeadlineMs;
  }

  /** @throws the listener's error, as `EADDRINUSE` */
  static async start(parts: PeerLinkParts, host: string | undefined, port: number): Promise<PeerLink> {
    const link = new PeerLink(parts);
    link.#server.listen({ port, host });
    await once(link.#server, "listening");
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The last thing of a node that ends: what still streams here has ended by then. */
  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = nodeExchange(request, response, true);
    const { method, url, headers } = exchange;
    try {
      const body = method === "POST" ? await exchange.body(maxBodyBytes) : undefined;
      if (body === "too-large") return answerJson(response, 413, JSON.stringify(bodyTooLarge));
      const session = (headers["mcp-session-id"] as string | undefined) ?? "";
      const proof = headers[proofHeader] as string | undefined;
      const proven = { to: this.#parts.tag, method, path: url, session, body };
      const fault = this.#checker.fault(proof, proven, this.#parts.now());
      if (fault !== undefined) {
        this.#parts.log.warn("peer-refused", { reason: fault, from: request.socket.remoteAddress });
        return answerPeer(exchange, 401, "refused");
      }
      if (url === "/alive") return answer(response, 204, [], "");
      await this.#parts.relayed({ ...exchange, body: async () => body ?? "" });
    } catch (error) {
      if (error instanceof ClientGone) return;
      this.#parts.log.error("request-failed", { method, error: String(error) });
      if (!response.headersSent)
        answerJson(response, 500, JSON.stringify({ code: "failed", message: "Internal error." }));
    }
  }
}

/** Answers that the session is not here (421, Misdirected Request); the node that asked goes on with that. */
export function answerNotHere(exchange: Exchange): void {
  answerPeer(exchange, 421, "not-here");
}

function answerPeer({ sink }: Exchange, status: number, word: "not-here" | "refused"): void {
  answer(sink, status, [answerHeader, word], "");
}
