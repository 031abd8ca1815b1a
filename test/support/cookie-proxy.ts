import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as requestHttp,
  type ServerResponse,
} from "node:http";
import { request as requestHttps } from "node:https";
import type { AddressInfo } from "node:net";

export interface CookieProxyOptions {
  /** Where to forward to, e.g. `https://localhost:8443/mcp`: its origin counts, paths are kept as they come. */
  readonly target: string;
  /** The certificate that signs the target's, for https. */
  readonly ca?: string | Buffer;
  /** The sticky cookie to keep. */
  readonly cookie?: string;
}

export interface CookieProxy {
  /** The target's address, with the proxy's origin in place of its own. */
  readonly url: string;
  /** The cookie that each session was given, as `name=value`, by the session's id. */
  readonly cookies: ReadonlyMap<string, string>;
  stop(): Promise<void>;
}

/** Sessions whose cookie is kept; the oldest is forgotten first. */
const mostSessions = 10_000;

/**
 * Stands before a cluster for clients without a cookie jar: remembers the sticky cookie of each MCP session and sends
 * it with the session's requests, also where a jar would hold a Secure cookie back. All else passes through as it is,
 * the Host header too.
 */
export async function startCookieProxy(options: CookieProxyOptions): Promise<CookieProxy> {
  const target = new URL(options.target);
  const wanted = `${options.cookie ?? "_mcp_backend"}=`;
  const cookies = new Map<string, string>();
  const send = target.protocol === "https:" ? requestHttps : requestHttp;

  function remember(sessionId: unknown, answer: IncomingMessage): void {
    const cookie = answer.headers["set-cookie"]?.find((line) => line.startsWith(wanted))?.split(";")[0];
    if (typeof sessionId !== "string" || cookie === undefined) return;
    cookies.set(sessionId, cookie);
    const oldest = cookies.keys().next().value;
    if (cookies.size > mostSessions && oldest !== undefined) cookies.delete(oldest);
  }

  function headersFor(request: IncomingMessage): OutgoingHttpHeaders {
    const id = request.headers["mcp-session-id"];
    const cookie = typeof id === "string" ? cookies.get(id) : undefined;
    return cookie === undefined ? request.headers : { ...request.headers, cookie };
  }

  function forward(request: IncomingMessage, response: ServerResponse): void {
    const onward = send(
      {
        hostname: target.hostname,
        port: target.port,
        path: request.url,
        method: request.method,
        headers: headersFor(request),
        // The Host header may be anything; the certificate is the target's.
        ...(target.protocol === "https:" ? { ca: options.ca, servername: target.hostname } : {}),
      },
      (answer) => {
        remember(answer.headers["mcp-session-id"] ?? request.headers["mcp-session-id"], answer);
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        // The head of a stream is an answer of its own: it must not wait for the first event.
        response.flushHeaders();
        answer.pipe(response);
        answer.on("error", () => response.destroy());
      },
    );
    onward.on("error", () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  const server = createServer(forward);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${target.pathname}`,
    cookies,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
