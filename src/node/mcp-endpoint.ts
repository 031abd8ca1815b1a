import { locate, type PeerAnswer, type RegistryAnswer } from "../model/locate.ts";
import type { JsonRpcId, RefusalReason } from "../model/refusal.ts";
import { refusalBody } from "../model/refusal.ts";
import { parseSessionId } from "../model/session-id.ts";
import type { Log, LogFields } from "../ports/log.ts";
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
import { type Access, type AccessRules, checkAccess, corsHeaders, preflightHeaders } from "./access.ts";
import { ClientGone, type Exchange } from "./exchange.ts";
import type { NodeMetrics } from "./metrics.ts";
import { MisrouteSample } from "./misroute-sample.ts";
import { answerNotHere } from "./not-here.ts";
import type { Relays } from "./relays.ts";
import type { SessionKeeper } from "./session-keeper.ts";

export interface McpEndpointParts {
  readonly keeper: SessionKeeper;
  /** Absent where misrouted requests are refused instead of passed on. */
  readonly relays: Relays | undefined;
  readonly access: AccessRules;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  now(): number;
}

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
    const access = exchange.relayed ? allowed : checkAccess(exchange.headers, this.#parts.access);
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

    const session = this.#parts.keeper.get(id) ?? (await this.#elsewhere(exchange, id, text));
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
    const session = await this.#sessionOf(exchange);
    if (session === undefined) return;
    const reason = await this.#parts.keeper.close(session.id);
    if (reason === undefined) this.#closed(exchange);
    else this.#refuse(exchange, reason, null, session.id);
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
    const session = this.#parts.keeper.get(id as string) ?? (await this.#elsewhere(exchange, id as string, undefined));
    const unfit = session && checkVersion(exchange.headers, session.transport.supportedVersions);
    if (unfit === undefined) return session;
    this.#fault(exchange, unfit);
    return undefined;
  }

  /**
   * The way of a request whose session this node doesn't hold: passed on to its owner, or refused with the reason.
   * Gives the session in case it is here after all, or undefined when the request has been answered.
   */
  async #elsewhere(exchange: Exchange, id: string, body: string | undefined): Promise<Session | undefined> {
    const { keeper, relays, now } = this.#parts;
    // One hop: what another node passed on is not passed on again.
    if (exchange.relayed && keeper.ending(id, now()) === undefined) {
      answerNotHere(exchange);
      return undefined;
    }
    const tag = parseSessionId(id)?.tag;
    const home = relays?.canReach(tag) === true ? tag : undefined;
    const answers = new Map<string, PeerAnswer>();
    let registry: RegistryAnswer | undefined;
    for (;;) {
      // A session may have been opened or closed here while others were asked.
      const session = keeper.get(id);
      const owner = typeof registry === "object" ? registry.owner.tag : undefined;
      const location = locate({
        local: session !== undefined,
        ended: keeper.ending(id, now()),
        home,
        answers,
        registry,
        canRelay: relays?.canReach(owner) === true,
      });
      switch (location.kind) {
        case "here":
          return session;
        case "relay": {
          const outcome = (await relays?.send(exchange, location.to, body)) ?? "unreachable";
          if (outcome === "answered") {
            this.#logMisroute(exchange, id, { relayedTo: location.to });
            return undefined;
          }
          answers.set(location.to, outcome);
          break;
        }
        case "ask-registry":
          registry = await keeper.askRegistry(id);
          break;
        case "refuse":
          await this.#refuseOrClose(exchange, location.reason, id, body);
          return undefined;
      }
    }
  }

  /** A close reaches also a session whose owner can't be reached or is gone: by the registry's word to all nodes. */
  async #refuseOrClose(exchange: Exchange, reason: RefusalReason, id: string, body: string | undefined): Promise<void> {
    if (exchange.method === "DELETE" && (reason === "misrouted" || reason === "owner-gone")) {
      const left = await this.#parts.keeper.close(id);
      if (left === undefined) return this.#closed(exchange);
      reason = left;
    }
    this.#refuse(exchange, reason, body === undefined ? null : firstRequestId(body), id);
  }

  #closed(exchange: Exchange): void {
    this.#parts.metrics.request("here");
    answer(exchange.sink, 200, [], "");
  }

  #serveHere(session: Session): void {
    this.#parts.keeper.touched(session);
    this.#parts.metrics.request("here");
  }

  #refuse(exchange: Exchange, reason: RefusalReason, requestId: JsonRpcId, session: string): void {
    const { log, metrics } = this.#parts;
    metrics.request("refused", reason);
    if (reason === "misrouted") this.#logMisroute(exchange, session, { refused: true });
    else log.info(reason === "unknown" ? "unknown" : "refused", { ...named(session), reason, method: exchange.method });
    answerJson(exchange.sink, 404, JSON.stringify(refusalBody(reason, requestId)));
  }

  #logMisroute(exchange: Exchange, session: string, fields: LogFields): void {
    const number = this.#misroutes.count(session);
    if (number === undefined) return;
    this.#parts.log.warn("misrouted", {
      ...named(session),
      reason: "misrouted",
      method: exchange.method,
      number,
      ...fields,
    });
  }

  #fault(exchange: Exchange, { status, code, message }: Fault): void {
    this.#parts.metrics.request("rejected");
    this.#parts.log.debug("refused", { status, message, method: exchange.method });
    answerJson(exchange.sink, status, errorText(null, code, message));
  }
}

/** Another node has checked who calls. */
const allowed: Access = { kind: "allowed" };

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

/** A session in the log: what a client makes up may be long; a node's ids are not. */
function named(session: string): LogFields {
  return { session: session.slice(0, 80) };
}

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
