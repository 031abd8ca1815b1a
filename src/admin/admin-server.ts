import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { checkHost } from "../node/access.ts";
import type { Log } from "../ports/log.ts";
import { type Address, isLoopback, urlOf } from "./address.ts";
import { listen } from "./listen.ts";
import { adminPage } from "./page.ts";
import {
  internal,
  nodeEmbedded,
  nodeNotTold,
  type Problem,
  ProblemError,
  unknownNode,
  unknownSession,
} from "./problem.ts";
import type { AdminApi, Scope } from "./target.ts";

/** An answer that is not the API's: health, metrics. */
export interface PlainAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
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

async function route(options: AdminServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { allowHost, address, api, plain, title } = options;
  const access = checkHost(request.headers, { loopback: isLoopback(address.host), allowHost });
  if (access.kind === "refused") {
    const next = "Call it by localhost, or start the node with --allow-host.";
    throw new ProblemError({ status: 403, code: "host-not-allowed", message: access.message, next });
  }
  refuseOtherSites(request);
  const url = new URL(request.url ?? "/", "http://admin");
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const scope: Scope = url.searchParams.get("scope") === "node" ? "node" : "cluster";
  const sessionId = /^\/api\/sessions\/([^/]+)$/.exec(url.pathname)?.[1];
  const nodeToDrain = /^\/api\/nodes\/([^/]+)\/drain$/.exec(url.pathname)?.[1];
  const nodeToRestart = /^\/api\/nodes\/([^/]+)\/restart$/.exec(url.pathname)?.[1];
  if (nodeToDrain !== undefined) allow(method, ["POST", "DELETE"], response);
  else if (nodeToRestart !== undefined) allow(method, ["POST"], response);
  else allow(method, sessionId === undefined ? ["GET"] : ["GET", "DELETE"], response);

  if (url.pathname === "/") {
    const links = [...Object.keys(plain), "/api/nodes", "/api/sessions"];
    return send(response, 200, "text/html; charset=utf-8", adminPage(title, await api.nodes("cluster"), links));
  }
  const answerPlain = Object.hasOwn(plain, url.pathname) ? plain[url.pathname] : undefined;
  if (answerPlain !== undefined) {
    const { status, contentType, body, headers = {} } = await answerPlain();
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return send(response, status, contentType, body);
  }
  if (url.pathname === "/api/nodes") return sendJson(response, 200, await api.nodes(scope));
  if (url.pathname === "/api/sessions") return sendJson(response, 200, await api.sessions(scope));
  if (nodeToDrain !== undefined) {
    const state = method === "POST" ? "draining" : "up";
    return await setState(api, decode(nodeToDrain), state, scope, response);
  }
  if (nodeToRestart !== undefined) return await restart(api, decode(nodeToRestart), scope, response);
  if (sessionId !== undefined) {
    const id = decode(sessionId);
    return method === "DELETE" ? await closeSession(api, id, response) : await showSession(api, id, scope, response);
  }
  const ofNode = ["/api/nodes/<name>/drain", "/api/nodes/<name>/restart"];
  const paths = ["/api/nodes", ...ofNode, "/api/sessions", "/api/sessions/<id>"];
  const next = `There is: /, ${[...Object.keys(plain), ...paths].join(", ")}.`;
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

async function setState(
  api: AdminApi,
  name: string,
  state: "up" | "draining",
  scope: Scope,
  response: ServerResponse,
): Promise<void> {
  const change = await api.setState(name, state, scope);
  switch (change.kind) {
    case "changed":
      return sendJson(response, 200, change.node);
    case "unknown":
      throw new ProblemError(unknownNode(name));
    case "not-told":
      throw new ProblemError(nodeNotTold(name, change));
  }
}

async function restart(api: AdminApi, name: string, scope: Scope, response: ServerResponse): Promise<void> {
  const wish = await api.restart(name, scope);
  switch (wish.kind) {
    case "asked":
      return sendJson(response, 200, wish.node);
    case "unknown":
      throw new ProblemError(unknownNode(name));
    case "embedded":
      throw new ProblemError(nodeEmbedded(name));
    case "not-told":
      throw new ProblemError(nodeNotTold(name, wish));
  }
}

/** A page of another site can send a POST here without being asked first, but not without saying where it comes from. */
function refuseOtherSites({ method, headers: { origin, host } }: IncomingMessage): void {
  if (method === "GET" || method === "HEAD" || origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  const message = `Origin ${origin} may not change anything here.`;
  const next = "Use the command line, or this listener's own page.";
  throw new ProblemError({ status: 403, code: "origin-not-allowed", message, next });
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
