import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { checkHost } from "../node/access.ts";
import type { Log } from "../ports/log.ts";
import { type Address, isLoopback, urlOf } from "./address.ts";
import { listen } from "./listen.ts";
import { adminPage } from "./page.ts";
import type { AdminApi, Scope } from "./target.ts";

/** An answer that is not the API's: health, metrics. */
export interface PlainAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface AdminServerOptions {
  readonly api: AdminApi;
  /** The heading of its page. */
  readonly title: string;
  readonly address: Address;
  /** What a person can change when the address is in use. */
  readonly option: string;
  /** Host names that are accepted besides local ones when it listens on loopback. */
  readonly allowHost: readonly string[];
  /** More paths, each with what answers it. */
  readonly plain: Readonly<Record<string, () => PlainAnswer | Promise<PlainAnswer>>>;
  readonly log: Log;
}

/** A listener for operators. */
export interface AdminListener {
  /** Its address, e.g. `http://127.0.0.1:9401`. */
  readonly url: string;
  stop(): Promise<void>;
}

/** An error as the API tells it. */
interface Problem {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Listens for operators: the API, health and metrics, and a small page. There is no CORS: no other site may read it. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminListener> {
  const server = createServer((request, response) => void answer(options, request, response));
  const url = urlOf(await listen(server, options.address, options.option));
  return {
    url,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(options: AdminServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await route(options, request, response);
  } catch (error) {
    if (!(error instanceof ProblemError)) {
      options.log.error("admin-request-failed", { method: request.method, url: request.url, error });
    }
    sendProblem(response, error instanceof ProblemError ? error.problem : internal(error));
  }
}

function internal(error: unknown): Problem {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    status: 503,
    code: "cluster-not-asked",
    message: `The cluster could not be asked: ${reason}`,
    next: "Try again, or ask for this node alone with ?scope=node.",
  };
}

async function route(options: AdminServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { allowHost, address, api, plain, title } = options;
  const access = checkHost(request.headers, { loopback: isLoopback(address.host), allowHost });
  if (access.kind === "refused") {
    const next = "Call it by localhost, or start the node with --allow-host.";
    throw new ProblemError({ status: 403, code: "host-not-allowed", message: access.message, next });
  }
  const url = new URL(request.url ?? "/", "http://admin");
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const scope: Scope = url.searchParams.get("scope") === "node" ? "node" : "cluster";
  const sessionId = /^\/api\/sessions\/([^/]+)$/.exec(url.pathname)?.[1];
  allow(method, sessionId === undefined ? ["GET"] : ["GET", "DELETE"], response);

  if (url.pathname === "/") {
    const links = [...Object.keys(plain), "/api/nodes", "/api/sessions"];
    return send(response, 200, "text/html; charset=utf-8", adminPage(title, await api.nodes("cluster"), links));
  }
  const answerPlain = Object.hasOwn(plain, url.pathname) ? plain[url.pathname] : undefined;
  if (answerPlain !== undefined) {
    const { status, contentType, body } = await answerPlain();
    return send(response, status, contentType, body);
  }
  if (url.pathname === "/api/nodes") return sendJson(response, 200, await api.nodes(scope));
  if (url.pathname === "/api/sessions") return sendJson(response, 200, await api.sessions(scope));
  if (sessionId !== undefined) {
    const id = decode(sessionId);
    return method === "DELETE" ? await closeSession(api, id, response) : await showSession(api, id, scope, response);
  }
  const next = `There is: /, ${[...Object.keys(plain), "/api/nodes", "/api/sessions", "/api/sessions/<id>"].join(", ")}.`;
  throw new ProblemError({ status: 404, code: "no-such-path", message: `Nothing is at ${url.pathname}.`, next });
}

async function showSession(api: AdminApi, id: string, scope: Scope, response: ServerResponse): Promise<void> {
  const { found, silent } = await api.session(id, scope);
  if (found === undefined) throw new ProblemError(unknownSession(id, silent));
  sendJson(response, 200, found);
}

async function closeSession(api: AdminApi, id: string, response: ServerResponse): Promise<void> {
  if (!(await api.close(id))) throw new ProblemError(unknownSession(id, []));
  sendJson(response, 200, { id, closed: true });
}

function unknownSession(id: string, silent: readonly string[]): Problem {
  const unasked = silent.length === 0 ? "" : ` These nodes did not answer: ${silent.join(", ")}.`;
  return {
    status: 404,
    code: "unknown-session",
    message: `No session ${id} was found.${unasked}`,
    next: "List the sessions with /api/sessions (mooring sessions).",
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function allow(method: string, allowed: readonly string[], response: ServerResponse): void {
  if (allowed.includes(method)) return;
  response.setHeader("Allow", allowed.join(", "));
  const next = `Use ${allowed.join(" or ")}.`;
  throw new ProblemError({ status: 405, code: "method-not-allowed", message: `${method} is not possible here.`, next });
}

function sendProblem(response: ServerResponse, { status, ...body }: Problem): void {
  if (response.headersSent) return void response.destroy();
  sendJson(response, status, body);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, "application/json", JSON.stringify(body));
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": contentType,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
  });
  response.end(body);
}
