import { locate } from "../model/locate.ts";
import type { JsonRpcId, RefusalReason } from "../model/refusal.ts";
import { refusalBody } from "../model/refusal.ts";
import type { Log } from "../ports/log.ts";
import {
  bodyTooLarge,
  checkGetHead,
  checkPostHead,
  checkVersion,
  type Fault,
  maxBodyBytes,
  methodNotAllowed,
  sessionIdMissing,
  sessionIdRepeated,
} from "../session/http-checks.ts";
import { errorCode, errorText, isInitialize } from "../session/json-rpc.ts";
import { type Body, checkForSession, readMessages } from "../session/read-messages.ts";
import { answer, answerJson } from "../session/response-sink.ts";
import type { Session } from "../session/session.ts";
import { type AccessRules, checkAccess, corsHeaders, preflightHeaders } from "./access.ts";
import { ClientGone, type Exchange } from "./exchange.ts";
import type { NodeMetrics } from "./metrics.ts";
import { MisrouteSample } from "./misroute-sample.ts";
import type { SessionKeeper } from "./session-keeper.ts";

export interface McpEndpointParts {
  readonly keeper: SessionKeeper;
  readonly access: AccessRules;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  now(): number;
}

/** Where a request's session was found: here, or why it can't be served. */
type Found =
  | { readonly kind: "here"; readonly session: Session }
  | { readonly kind: "refused"; readonly reason: RefusalReason };

/**
 * The way of a request for `/mcp`: who calls (access), what is asked (head, body), where the session is (locate), and
 * then its transport, or a refusal with its reason.
 */
export class McpEndpoint {
  readonly #parts: McpEndpointParts;
  readonly #misroutes = new MisrouteSample();

  constructor(parts: McpEndpointParts) {
    this.#parts = parts;
  }

  /** Answers one request. Never rejects. */
  async handle(exchange: Exchange): Promise<void> {
    try {
      await this.#answer(exchange);
    } catch (error) {
      if (error instanceof ClientGone) return;
      this.#parts.log.error("request-failed", { method: exchange.method, error: String(error) });
      this.#parts.metrics.request("failed");
      if (!exchange.sink.headersSent) {
        answerJson(
          exchange.sink,
          500,
          errorText(null, errorCode.internal, "Internal error. The node's log says more."),
        );
      }
    }
  }

  async #answer(exchange: Exchange): Promise<void> {
    const access = checkAccess(exchange.headers, this.#parts.access);
    if (access.kind === "refused") {
      this.#fault(exchange, { status: 403, code: errorCode.transport, message: access.message });
      return;
    }
    if (access.origin !== undefined) setHeaders(exchange, corsHeaders(access.origin));
    switch (exchange.method) {
      case "POST":
        return this.#post(exchange);
      case "GET":
        return this.#get(exchange);
      case "DELETE":
        return this.#delete(exchange);
      case "OPTIONS":
        setHeaders(exchange, preflightHeaders(exchange.headers));
        return answer(exchange.sink, 204, [], "");
      default:
        exchange.sink.setHeader("Allow", "GET, POST, DELETE");
        return this.#fault(exchange, methodNotAllowed);
    }
  }

  async #post(exchange: Exchange): Promise<void> {
    const { headers, sink } = exchange;
    const id = sessionIdOf(exchange);
    const fault = checkPostHead(headers) ?? checkSessionId(id);
    if (fault !== undefined) return this.#fault(exchange, fault);
    const text = await exchange.body(maxBodyBytes);
    if (text === "too-large") return this.#fault(exchange, bodyTooLarge);
    if (id === undefined) return this.#begin(exchange, readMessages(text));

    const session = this.#parts.keeper.get(id) ?? (await this.#elsewhere(exchange, id, () => firstRequestId(text)));
    if (session === undefined) return;
    const body = readMessages(text);
    if (body.kind === "fault") return this.#fault(exchange, body.fault);
    const { transport } = session;
    const unfit =
      checkForSession(body, transport.protocolVersion) ?? checkVersion(headers, transport.supportedVersions);
    if (unfit !== undefined) return this.#fault(exchange, unfit);
    this.#serveHere(session);
    transport.accept(body.messages, sink, exchange);
  }

  async #get(exchange: Exchange): Promise<void> {
    const { headers, sink } = exchange;
    const fault = checkGetHead(headers);
    if (fault !== undefined) return this.#fault(exchange, fault);
    const session = await this.#sessionOf(exchange);
    if (session === undefined) return;
    this.#serveHere(session);
    const lastEventId = headers["last-event-id"];
    if (lastEventId === undefined) session.transport.listen(sink);
    else session.transport.resume(sink, String(lastEventId));
  }

  async #delete(exchange: Exchange): Promise<void> {
    const id = sessionIdOf(exchange);
    const fault = requireSessionId(id);
    if (fault !== undefined) return this.#fault(exchange, fault);
    const session = this.#parts.keeper.get(id as string);
    const unfit = session && checkVersion(exchange.headers, session.transport.supportedVersions);
    if (unfit !== undefined) return this.#fault(exchange, unfit);
    // Wherever the session lives, also when its owner is gone: a close removes it from the registry and tells all nodes.
    const reason = await this.#parts.keeper.close(id as string);
    if (reason !== undefined) return this.#refuse(exchange, reason, null, id as string);
    this.#parts.metrics.request("here");
    answer(exchange.sink, 200, [], "");
  }

  /** A POST without a session id: the beginning of a session, or a mistake. */
  async #begin(exchange: Exchange, body: Body): Promise<void> {
    if (body.kind === "fault") return this.#fault(exchange, body.fault);
    const initialize = body.messages.find(isInitialize);
    if (initialize === undefined) {
      const wrong = body.messages.find((message) => message.method === "initialize");
      return this.#fault(exchange, wrong === undefined ? sessionIdMissing : initializeIncomplete);
    }
    if (body.messages.length > 1) return this.#fault(exchange, initializeAlone);
    const { name, version } = initialize.params.clientInfo;
    const opened = await this.#parts.keeper.open(`${name}/${version}`.slice(0, 128));
    if (opened.kind !== "opened") {
      const { status, message } = notOpened[opened.kind];
      answerJson(exchange.sink, status, errorText(initialize.id, errorCode.internal, message));
      this.#parts.metrics.request("failed");
      return;
    }
    this.#parts.metrics.request("here");
    opened.session.transport.accept(body.messages, exchange.sink, exchange);
  }

  /** The session of a request without a body, or undefined when the request has been answered. */
  async #sessionOf(exchange: Exchange): Promise<Session | undefined> {
    const id = sessionIdOf(exchange);
    const fault = requireSessionId(id);
    if (fault !== undefined) {
      this.#fault(exchange, fault);
      return undefined;
    }
    const session = this.#parts.keeper.get(id as string) ?? (await this.#elsewhere(exchange, id as string, () => null));
    const unfit = session && checkVersion(exchange.headers, session.transport.supportedVersions);
    if (unfit === undefined) return session;
    this.#fault(exchange, unfit);
    return undefined;
  }

  /** Asks where a session is that this node doesn't hold, and refuses the request with the reason. */
  async #elsewhere(exchange: Exchange, id: string, requestId: () => JsonRpcId): Promise<Session | undefined> {
    const found = await this.#find(id);
    if (found.kind === "here") return found.session;
    this.#refuse(exchange, found.reason, requestId(), id);
    return undefined;
  }

  async #find(id: string): Promise<Found> {
    const { keeper, now } = this.#parts;
    const ended = keeper.ending(id, now());
    let location = locate({ local: false, ended });
    if (location.kind === "ask-registry") {
      const known = await keeper.askRegistry(id);
      // A session may have been opened or closed here while the registry was asked.
      location = locate({ local: keeper.get(id) !== undefined, ended: keeper.ending(id, now()), registry: known });
    }
    switch (location.kind) {
      case "here":
        return { kind: "here", session: keeper.get(id) as Session };
      case "refuse":
        return { kind: "refused", reason: location.reason };
      case "ask-registry":
        throw new Error("locate asked for the registry's answer twice");
    }
  }

  #serveHere(session: Session): void {
    this.#parts.keeper.touched(session);
    this.#parts.metrics.request("here");
  }

  #refuse(exchange: Exchange, reason: RefusalReason, requestId: JsonRpcId, session: string): void {
    const { log, metrics } = this.#parts;
    metrics.request("refused", reason);
    // What a client makes up may be long; a node's ids are not.
    const fields = { session: session.slice(0, 80), reason, method: exchange.method };
    if (reason === "misrouted") {
      const number = this.#misroutes.count(session);
      if (number !== undefined) log.warn("misrouted", { ...fields, number });
    } else {
      log.info(reason === "unknown" ? "unknown" : "refused", fields);
    }
    answerJson(exchange.sink, 404, JSON.stringify(refusalBody(reason, requestId)));
  }

  #fault(exchange: Exchange, { status, code, message }: Fault): void {
    this.#parts.metrics.request("rejected");
    this.#parts.log.debug("refused", { status, message, method: exchange.method });
    answerJson(exchange.sink, status, errorText(null, code, message));
  }
}

/** What a client is told whose session could not begin. */
const notOpened = {
  failed: { status: 500, message: "The server could not be made for this session. The node's log says why." },
  stopping: { status: 503, message: "This node is stopping. Send initialize again: another node will serve you." },
};

const initializeIncomplete: Fault = {
  status: 400,
  code: errorCode.invalidRequest,
  message: "Invalid Request: initialize needs protocolVersion, capabilities and clientInfo with name and version",
};

const initializeAlone: Fault = {
  status: 400,
  code: errorCode.invalidRequest,
  message: "Invalid Request: Only one initialization request is allowed",
};

/** The session that a request names. An empty header names none. */
function sessionIdOf({ headers }: Exchange): string | undefined {
  return (headers["mcp-session-id"] as string | undefined) || undefined;
}

function checkSessionId(id: string | undefined): Fault | undefined {
  return id?.includes(",") === true ? sessionIdRepeated : undefined;
}

function requireSessionId(id: string | undefined): Fault | undefined {
  return id === undefined ? sessionIdMissing : checkSessionId(id);
}

function setHeaders(exchange: Exchange, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) exchange.sink.setHeader(name, value);
}

/** The id that a transient refusal repeats, from a body that may be anything. */
function firstRequestId(text: string): JsonRpcId {
  const body = readMessages(text);
  return body.kind === "messages" ? (body.messages.find(({ id }) => id !== undefined)?.id ?? null) : null;
}
