import { parseSessionId } from "../model/session-id.ts";
import { isLocalUrl } from "../node/access.ts";
import { type Judgement, notRun, type Report } from "./check.ts";
import { parseSetCookie } from "./cookies.ts";
import { Endpoint, type Target } from "./endpoint.ts";
import { Findings } from "./findings.ts";
import { judgeHttps, judgeMcp, judgeReachable, judgeRedirect, judgeSessionId } from "./judge/address.ts";
import { judgeCookieAttributes, judgeCookieless, judgeCookies, judgeForeignCookie } from "./judge/affinity.ts";
import {
  judgeForgedHeaders,
  judgeLargeBody,
  judgeOrigin,
  judgeTwoSessionIds,
  judgeUnknownSession,
} from "./judge/requests.ts";
import {
  type IdleFacts,
  judgeCompression,
  judgeEvents,
  judgeIdleStream,
  judgeResume,
  judgeSlowCall,
  judgeStreamHead,
  type PacedEvents,
  type SlowCall,
} from "./judge/streams.ts";
import { beginWithJar, foreignCookies, tryCookieless, tryForeignCookies, tryWithCookies } from "./probe/affinity.ts";
import { begin } from "./probe/begin.ts";
import {
  inventedId,
  tryForgedHeaders,
  tryLargeBody,
  tryOrigin,
  tryPlainHttp,
  tryTwoSessionIds,
  tryUnknownSession,
} from "./probe/requests.ts";
import { callSlowly, tryStreams, watchIdle } from "./probe/streams.ts";
import { insisted, isYardstick } from "./probe/yardstick.ts";
import { recognise } from "./recognise.ts";
import { mediaType } from "./seen.ts";
import { type PostAnswer, Session } from "./session.ts";

export interface ExamineOptions {
  /** For how long a silent stream is watched. */
  readonly idleMs: number;
  /** Ends the examination early; what was found so far is reported. */
  readonly signal?: AbortSignal;
}

/** Besides the watching of a silent stream; reached only where every request runs into its deadline. */
const allWithinMs = 90_000;
const endSessionsWithinMs = 4_000;

/** Examines an endpoint as its clients use it. Rejects only for faults of its own. */
export async function examine(target: Target, { idleMs, signal }: ExamineOptions): Promise<Report> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), idleMs + allWithinMs);
  const ends = signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, signal]);
  const visit = new Visit(target, idleMs, ends);
  try {
    return await visit.run();
  } finally {
    clearTimeout(timer);
    await visit.leave();
  }
}

/** One examination: what is open, and what has been found. */
class Visit {
  readonly #given: Target;
  readonly #idleMs: number;
  readonly #endpoint: Endpoint;
  readonly #findings = new Findings(() => this.#endpoint.stopped);
  readonly #sessions: Session[] = [];

  constructor(target: Target, idleMs: number, ends: AbortSignal) {
    this.#given = target;
    this.#idleMs = idleMs;
    this.#endpoint = new Endpoint(target, ends);
  }

  async run(): Promise<Report> {
    const session = await this.#arrive();
    if (session === undefined) return this.#report("there is no session to try it with");
    const tools = "tools" in session.capabilities ? await insisted(() => session.ask("tools/list")) : undefined;
    await this.#handshake(session, tools);
    const yardstick = isYardstick(session, tools);
    // What takes longest goes on beside the rest.
    const patient = this.#waitPatiently(yardstick);
    await this.#affinity(session, yardstick);
    await this.#oneByOne(session);
    const paced = await this.#streams(session, yardstick);
    this.#judgePatience(await patient, paced, yardstick);
    return this.#report("it was not come to");
  }

  /** Ends all sessions and streams. */
  async leave(): Promise<void> {
    this.#endpoint.close();
    const ends = new AbortController();
    const timer = setTimeout(() => ends.abort(), endSessionsWithinMs);
    const farewell = new Endpoint(this.#endpoint.target, ends.signal);
    await Promise.all(this.#sessions.map((session) => session.end(farewell)));
    clearTimeout(timer);
    farewell.close();
  }

  /** The address: whether it answers, by which way, and whether MCP is spoken there. */
  async #arrive(): Promise<Session | undefined> {
    const { first, initialize, session, redirects, untrusted } = await begin(this.#endpoint);
    if (session !== undefined) this.#sessions.push(session);
    const reachable = judgeReachable(first);
    this.#findings.set("reachable", reachable);
    if (reachable.result === "failed") return undefined;
    this.#findings.set("redirect", judgeRedirect(redirects));
    const { url } = this.#endpoint;
    const https = {
      url,
      local: isLocalUrl(url.href),
      insecure: this.#given.insecure,
      failure: untrusted,
      certificate: this.#endpoint.certificate,
      plain: await tryPlainHttp(this.#endpoint),
      now: Date.now(),
    };
    this.#findings.set("https", judgeHttps(https));
    if (session === undefined && !(initialize.kind === "failure" && untrusted !== undefined)) {
      this.#findings.set("mcp", judgeMcp({ initialize, begun: false, server: "" }));
    }
    return session;
  }

  async #handshake(session: Session, tools: PostAnswer | undefined): Promise<void> {
    const { initialized: initialize, id, serverInfo } = session;
    const initialized = await insisted(() => session.notify("notifications/initialized"));
    const revision = String(initialize.message?.result?.protocolVersion);
    const server = `${String(serverInfo.name)} ${String(serverInfo.version)}, protocol ${revision}`;
    this.#findings.set("mcp", judgeMcp({ initialize, initialized, tools, begun: true, server }));
    this.#findings.set("session-id", judgeSessionId(id));
  }

  async #affinity(session: Session, yardstick: boolean): Promise<void> {
    const findings = this.#findings;
    const { url } = this.#endpoint;
    findings.set("cookieless", judgeCookieless(await tryCookieless(session, yardstick)));
    const needed = findings.failed("cookieless");
    const cookies = this.#endpoint.heads
      .flatMap(({ setCookies }) => setCookies.map(parseSetCookie))
      .filter((cookie) => cookie !== undefined);
    const byName = new Map(cookies.map((cookie) => [cookie.name, cookie]));
    findings.set("cookie-attributes", judgeCookieAttributes({ url, cookies: [...byName.values()], needed }));
    if (cookies.length === 0) {
      findings.set("cookies", notRun("the endpoint sets no cookie"));
      findings.set("foreign-cookie", notRun("no cookie leads requests to another node"));
      return;
    }
    const { session: kept, jar } = await beginWithJar(this.#endpoint);
    if (kept !== undefined) this.#sessions.push(kept);
    if (kept === undefined) findings.set("cookies", notRun("a second session could not begin"));
    else if (!jar.sends(url)) findings.set("cookies", notRun("clients don't send the cookie to this address"));
    else findings.set("cookies", judgeCookies(await tryWithCookies(kept, yardstick)));
    findings.set("foreign-cookie", await this.#foreignCookie(session, yardstick, needed));
  }

  async #foreignCookie(session: Session, yardstick: boolean, cookielessFailed: boolean): Promise<Judgement> {
    const others = this.#sessions.filter((other) => other !== session);
    const foreign = await foreignCookies(session, others, () => this.#another());
    if (foreign === undefined) return notRun("every session got the same cookie, or none");
    return judgeForeignCookie(await tryForeignCookies(session, foreign, yardstick), cookielessFailed);
  }

  /** What single requests are answered. */
  async #oneByOne(session: Session): Promise<void> {
    const findings = this.#findings;
    const { url } = this.#endpoint;
    if (session.id === undefined) {
      findings.set("unknown-session", notRun("the server keeps no sessions"));
      findings.set("two-session-ids", notRun("the server keeps no sessions"));
    } else {
      const invented = inventedId(session.id);
      findings.set("unknown-session", judgeUnknownSession(await tryUnknownSession(session, invented)));
      findings.set("two-session-ids", judgeTwoSessionIds(await tryTwoSessionIds(session, session.id, invented)));
    }
    findings.set("large-body", judgeLargeBody(await tryLargeBody(session)));
    findings.set("origin", judgeOrigin(await tryOrigin(session, url, isLocalUrl(url.href))));
    findings.set("forged-headers", judgeForgedHeaders(await tryForgedHeaders(session, this.#endpoint)));
  }

  async #streams(session: Session, yardstick: boolean): Promise<readonly PacedEvents[]> {
    const { head, resume, paced } = await tryStreams(session, yardstick);
    this.#findings.set("stream-head", judgeStreamHead(head));
    this.#findings.set("resume", judgeResume(resume));
    return paced;
  }

  /** A silent stream and a long call, in a session of their own: a session has one standalone stream. */
  async #waitPatiently(yardstick: boolean): Promise<{ idle: IdleFacts | undefined; slow: SlowCall | undefined }> {
    const session = await this.#another();
    if (session === undefined) return { idle: undefined, slow: undefined };
    await insisted(() => session.notify("notifications/initialized"));
    const [idle, slow] = await Promise.all([
      watchIdle(session, this.#idleMs),
      yardstick ? callSlowly(session, this.#idleMs) : undefined,
    ]);
    return { idle, slow };
  }

  #judgePatience(
    { idle, slow }: { idle: IdleFacts | undefined; slow: SlowCall | undefined },
    paced: readonly PacedEvents[],
    yardstick: boolean,
  ): void {
    const findings = this.#findings;
    findings.set("idle-stream", idle === undefined ? notRun("there was no stream to watch") : judgeIdleStream(idle));
    const noTools = "the doctor calls the tools of the yardstick example only (--server yardstick)";
    findings.set("slow-call", slow === undefined ? notRun(noTools) : judgeSlowCall(slow));
    findings.set("stream-events", yardstick ? judgeEvents(paced) : notRun(noTools));
    const streams = this.#endpoint.heads
      .filter((head) => mediaType(head) === "text/event-stream")
      .map(({ method, headers }) => ({ method, encoding: headers["content-encoding"] }));
    findings.set("compression", judgeCompression(streams));
  }

  async #another(): Promise<Session | undefined> {
    const begun = await Session.begin(this.#endpoint);
    if (!(begun instanceof Session)) return undefined;
    this.#sessions.push(begun);
    return begun;
  }

  #report(otherwise: string): Report {
    const mooring = this.#sessions.some(({ id }) => id !== undefined && parseSessionId(id) !== undefined);
    const facts = { ...recognise(this.#endpoint.heads), mooring };
    const reason = this.#endpoint.stopped ? "the examination was ended before" : otherwise;
    return this.#findings.report(this.#given.url.href, facts, reason);
  }
}
