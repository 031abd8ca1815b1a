import type { JsonRpcId, RefusalReason } from "../model/refusal.ts";
import { refusalBody } from "../model/refusal.ts";
import type { Log, LogFields } from "../ports/log.ts";
import type { Principal } from "../ports/registry.ts";
import type { ServerDefinition } from "../session/define-server.ts";
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
import { errorCode, errorText, isRequest } from "../session/json-rpc.ts";
import { readInitialize } from "../session/read-initialize.ts";
import { type Body, checkForSession, readMessages } from "../session/read-messages.ts";
import { answer, answerJson } from "../session/response-sink.ts";
import type { Session } from "../session/session.ts";
import { type Access, type AccessRules, checkAccess, corsHeaders, preflightHeaders } from "./access.ts";
import { ClientGone, type Exchange } from "./exchange.ts";
import type { Finder, Found, Wanted } from "./finder.ts";
import type { NodeMetrics } from "./metrics.ts";
import { MisrouteSample } from "./misroute-sample.ts";
import { answerNotHere } from "./not-here.ts";
import type { OwnerNotes } from "./owner-notes.ts";
import { isSame } from "./principals.ts";
import type { SessionKeeper } from "./session-keeper.ts";

export interface McpEndpointParts {
  readonly keeper: SessionKeeper;
  readonly finder: Finder;
  /** Where sessions went from here. */
  readonly notes: OwnerNotes;
  /** For how long a request waits for a session that is about to move: milliseconds. */
  readonly holdMs: number;
  readonly access: AccessRules;
  /** Says who calls; absent where anybody may. */
  readonly authenticate: ServerDefinition["authenticate"];
  readonly metrics: NodeMetrics;
  readonly log: Log;
  now(): number;
}

/**
 * The way of a request for `/mcp`: where it comes from (access), who calls (authenticate), what is asked (head, body),
 * where the session is (locate), and then its transport, or a refusal with its reason.
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
    const way = this.#ways[exchange.method];
    if (way !== undefined) {
      const caller = this.#parts.authenticate === undefined ? anybody : await this.#callerOf(exchange);
      return caller.kind === "known" ? way(exchange, caller.principal) : this.#unauthorized(exchange);
    }
    if (exchange.method === "OPTIONS") {
      setHeaders(exchange, preflightHeaders(exchange.headers));
      return answer(exchange.sink, 204, [], "");
    }
    exchange.sink.setHeader("Allow", "GET, POST, DELETE");
    this.#fault(exchange, methodNotAllowed);
  }

  readonly #ways: Readonly<Record<string, (exchange: Exchange, caller: Principal | undefined) => Promise<void>>> = {
    POST: (exchange, caller) => this.#post(exchange, caller),
    GET: (exchange, caller) => this.#get(exchange, caller),
    DELETE: (exchange, caller) => this.#delete(exchange, caller),
  };

  /** Asked on every node that a request passes, so that a session's owner takes nobody's word for who calls. */
  async #callerOf({ method, url, headers }: Exchange): Promise<Caller> {
    const principal = await this.#parts.authenticate?.({ method, url, headers });
    return principal === undefined ? nobody : { kind: "known", principal };
  }

  async #post(exchange: Exchange, caller: Principal | undefined): Promise<void> {
    const { headers, sink } = exchange;
    const id = sessionIdOf(exchange);
    const fault = checkPostHead(headers) ?? checkSessionId(id);
    if (fault !== undefined) return this.#fault(exchange, fault);
    const text = await exchange.body(maxBodyBytes);
    if (text === "too-large") return this.#fault(exchange, bodyTooLarge);
    if (id === undefined) return this.#begin(exchange, text, caller);

    let body: Body | undefined;
    const read = () => (body ??= readMessages(text));
    await this.#serve(
      exchange,
      { id, body: text, caller },
      {
        beginsCalls: () => beginsCalls(read()),
        serve: ({ transport }) => {
          const body = read();
          if (body.kind === "fault") return body.fault;
          const unfit =
            checkForSession(body, transport.protocolVersion) ?? checkVersion(headers, transport.supportedVersions);
          if (unfit === undefined) transport.accept(body.messages, sink, exchange, text);
          return unfit;
        },
      },
    );
  }

  async #get(exchange: Exchange, caller: Principal | undefined): Promise<void> {
    const { headers, sink } = exchange;
    const id = sessionIdOf(exchange);
    const fault = checkGetHead(headers) ?? requireSessionId(id);
    if (fault !== undefined) return this.#fault(exchange, fault);
    const lastEventId = headers["last-event-id"];
    await this.#serve(
      exchange,
      { id: id as string, body: undefined, caller },
      {
        beginsCalls: () => false,
        serve: ({ transport }) => {
          const unfit = checkVersion(headers, transport.supportedVersions);
          if (unfit !== undefined) return unfit;
          if (lastEventId === undefined) transport.listen(sink);
          else transport.resume(sink, String(lastEventId), exchange);
          return undefined;
        },
      },
    );
  }

  async #delete(exchange: Exchange, caller: Principal | undefined): Promise<void> {
    const id = sessionIdOf(exchange);
    const fault = requireSessionId(id);
    if (fault !== undefined) return this.#fault(exchange, fault);
    const session = await this.#sessionFor(exchange, { id: id as string, body: undefined, caller });
    if (session === undefined) return;
    const unfit = checkVersion(exchange.headers, session.transport.supportedVersions);
    if (unfit !== undefined) return this.#fault(exchange, unfit);
    const reason = await this.#parts.keeper.close(session.id);
    if (reason === undefined) this.#closed(exchange);
    else this.#refuse(exchange, reason, null, session.id);
  }

  /** A POST without a session id: the beginning of a session, or a mistake. */
  async #begin(exchange: Exchange, text: string, principal: Principal | undefined): Promise<void> {
    const begins = readInitialize(text);
    if (begins.kind === "fault") return this.#fault(exchange, begins.fault);
    const { id, client, messages, json } = begins;
    const opened = await this.#parts.keeper.open({ client, principal, initialize: json });
    if (opened.kind !== "opened") {
      const { status, message } = notOpened[opened.kind];
      answerJson(exchange.sink, status, errorText(id, errorCode.internal, message));
      this.#parts.metrics.request("failed");
      return;
    }
    this.#parts.metrics.request("here");
    opened.session.transport.accept(messages, exchange.sink, exchange, text);
  }

  /** Gives a request to its session as soon as that is here, and takes requests; or answers it otherwise. */
  async #serve(exchange: Exchange, wanted: Wanted, use: Use): Promise<void> {
    const { keeper, holdMs } = this.#parts;
    const began = performance.now();
    for (;;) {
      const session = await this.#sessionFor(exchange, wanted);
      if (session === undefined) return;
      // Asked again in the turn in which it is served: it may have left, or be about to, since it was found.
      if (keeper.serves(session, use.beginsCalls)) {
        const fault = use.serve(session);
        if (fault === undefined) this.#serveHere(session);
        else this.#fault(exchange, fault);
        return;
      }
      if (!(await keeper.settled(wanted.id, began + holdMs - performance.now()))) {
        this.#refuse(exchange, "misrouted", wanted.body === undefined ? null : firstRequestId(wanted.body), wanted.id);
        return;
      }
    }
  }

  /** The session that a request is for, or undefined when the request has been answered. */
  async #sessionFor(exchange: Exchange, wanted: Wanted): Promise<Session | undefined> {
    const session = this.#parts.keeper.get(wanted.id) ?? (await this.#elsewhere(exchange, wanted));
    if (session === undefined || isSame(session.principal, wanted.caller)) return session;
    this.#refuse(exchange, "unknown", null, wanted.id);
    return undefined;
  }

  /**
   * The way of a request whose session this node doesn't hold: passed on to its owner, or refused with the reason.
   * Gives the session in case it is here after all, or adopted, or undefined when the request has been answered.
   */
  async #elsewhere(exchange: Exchange, wanted: Wanted): Promise<Session | undefined> {
    const { keeper, finder, notes, now } = this.#parts;
    const { id, body } = wanted;
    // One hop: what another node passed on is not passed on again.
    const isForHere = exchange.relayed && keeper.ending(id, now()) === undefined;
    const found = isForHere ? await finder.findHere(exchange, wanted) : await finder.find(exchange, wanted);
    switch (found.kind) {
      case "not-here":
        answerNotHere(exchange, notes.get(id));
        return undefined;
      case "here":
        return found.session;
      case "relayed":
        this.#logMisroute(exchange, id, { relayedTo: found.to });
        return undefined;
      case "refused":
        await this.#refuseOrClose(exchange, found, id, body);
        return undefined;
    }
  }

  /** A close reaches also a session whose owner can't be reached or is gone: by the registry's word to all nodes. */
  async #refuseOrClose(
    exchange: Exchange,
    { reason, owner }: Pick<Refused, "reason" | "owner">,
    id: string,
    body: string | undefined,
  ): Promise<void> {
    // Nobody ends a session that may be another one's: whose it is, is known together with its owner.
    const mayClose = this.#parts.authenticate === undefined || owner !== undefined;
    if (exchange.method === "DELETE" && mayClose && (reason === "misrouted" || reason === "owner-gone")) {
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

  #unauthorized(exchange: Exchange): void {
    this.#parts.metrics.request("rejected");
    const message = "Unauthorized: the request does not say who calls, or says it wrongly.";
    answerJson(exchange.sink, 401, errorText(null, errorCode.transport, message), ["WWW-Authenticate", "Bearer"]);
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

type Refused = Extract<Found, { readonly kind: "refused" }>;

/** What a request wants of its session, once it is here. */
interface Use {
  /** Whether it begins calls: those wait where a session is about to move. */
  beginsCalls(): boolean;
  /** Gives what is wrong with the request, and else answers it, now or later. */
  serve(session: Session): Fault | undefined;
}

type Caller = { readonly kind: "known"; readonly principal: Principal | undefined } | { readonly kind: "nobody" };

const anybody: Caller = { kind: "known", principal: undefined };
const nobody: Caller = { kind: "nobody" };

/** Another node has checked where the call comes from. */
const allowed: Access = { kind: "allowed" };

/** What a client is told whose session could not begin. */
const notOpened = {
  failed: { status: 500, message: "The server could not be made for this session. The node's log says why." },
  stopping: { status: 503, message: "This node is stopping. Send initialize again: another node will serve you." },
  "no-right": {
    status: 503,
    message:
      "This node has lost its registry, and may begin no session. Send initialize again: another node will serve you.",
  },
  "not-noted": {
    status: 503,
    message: "The registry is away, so that this session could not be noted in time. Send initialize again.",
  },
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

function beginsCalls(body: Body): boolean {
  return body.kind === "messages" && body.messages.some(isRequest);
}
