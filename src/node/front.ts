import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../ports/log.ts";
import type { AppHandler } from "../session/define-server.ts";
import { answer, answerJson } from "../session/response-sink.ts";
import { type AccessRules, checkHost } from "./access.ts";
import { type Exchange, nodeExchange } from "./exchange.ts";
import type { McpEndpoint } from "./mcp-endpoint.ts";
import { incarnationHeader } from "./sign-of-life.ts";

/** Which part of the node a path belongs to (docs/architecture.md). */
type Part = "mcp" | "livez" | "reserved" | "app";

/** `/mcp` and `/mcp/`, but not `/mcpfoo`: the edge's sticky router has the same rule. */
function partOf(url: string): Part {
  const query = url.indexOf("?");
  const path = query < 0 ? url : url.slice(0, query);
  if (path === "/mcp" || path === "/mcp/") return "mcp";
  if (path === "/livez") return "livez";
  if (path.startsWith("/.well-known/oauth-protected-resource")) return "reserved";
  return "app";
}

export interface FrontParts {
  readonly endpoint: McpEndpoint;
  readonly app: AppHandler | undefined;
  readonly access: AccessRules;
  readonly incarnation: string;
  /** Whether another incarnation has taken this node's name: then nothing is served any more. */
  readonly lost: () => boolean;
  readonly log: Log;
}

/** The node's HTTP surface: `/mcp`, what is reserved beside it, and the person's own app on all other paths. */
export class Front {
  readonly #parts: FrontParts;

  constructor(parts: FrontParts) {
    this.#parts = parts;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const exchange = nodeExchange(request, response);
    if (this.#parts.lost()) {
      lost(exchange);
      return;
    }
    if (partOf(exchange.url) !== "app") {
      void this.answer(exchange);
      return;
    }
    const host = checkHost(request.headers, this.#parts.access);
    if (host.kind === "refused") {
      answerJson(exchange.sink, 403, JSON.stringify({ code: "host-refused", message: host.message }));
      return;
    }
    if (this.#parts.app === undefined) notFound(exchange);
    else void this.#callApp(this.#parts.app, request, response);
  }

  /** Answers what is not the app's. */
  async answer(exchange: Exchange): Promise<void> {
    if (this.#parts.lost()) return lost(exchange);
    switch (partOf(exchange.url)) {
      case "mcp":
        return this.#parts.endpoint.handle(exchange);
      case "livez":
        exchange.sink.setHeader(incarnationHeader, this.#parts.incarnation);
        return answer(exchange.sink, 200, ["Content-Type", "text/plain"], "ok\n");
      case "reserved":
      case "app":
        return notFound(exchange);
    }
  }

  /** An app that throws gets its client a 500 and the node's log a line; the node goes on. */
  async #callApp(app: AppHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await app(request, response);
    } catch (error) {
      this.#parts.log.error("app-failed", { url: request.url, error: String(error) });
      if (response.headersSent) response.destroy();
      else
        answerJson(
          response,
          500,
          JSON.stringify({ code: "app-failed", message: "The app failed. The node's log says why." }),
        );
    }
  }
}

/** To the edge and to clients: go elsewhere. */
function lost({ sink }: Exchange): void {
  const message = "This node has lost its name to another one. Send the request again: another node will serve you.";
  answerJson(sink, 503, JSON.stringify({ code: "node-lost", message }));
}

function notFound({ sink, url }: Exchange): void {
  const message = `Nothing is served at ${url.split("?", 1)[0]}. MCP is at /mcp.`;
  answerJson(sink, 404, JSON.stringify({ code: "not-found", message }));
}
