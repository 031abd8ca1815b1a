import type { CookieJar } from "./cookies.ts";
import { type Ask, answerWithinMs, type Endpoint, type Opened } from "./endpoint.ts";
import { type ReadAnswer, readAnswer } from "./read-answer.ts";
import { isAnswered, isMiss, type Seen, type SeenFailure } from "./seen.ts";

/** The revision that the doctor speaks: the newest one with sessions. */
const protocolVersion = "2025-11-25";

/** How often a request is sent again that a node without the session got. */
const mostTries = 8;

/** Longer than a stream's head may take, so that what comes late is told apart from what never comes. */
const streamWithinMs = 5_000;

/** A session's end must not hold back the report. */
const endWithinMs = 2_000;

export type PostAnswer = ReadAnswer | SeenFailure;

interface PostOptions {
  readonly headers?: Ask["headers"];
  readonly withinMs?: number;
}

/** A session of the doctor's, on the endpoint. */
export class Session {
  /** Undefined for a server without sessions. */
  readonly id: string | undefined;
  readonly initialized: ReadAnswer;
  readonly #endpoint: Endpoint;
  readonly #jar: CookieJar | undefined;
  #requests = 0;

  private constructor(endpoint: Endpoint, initialized: ReadAnswer, jar: CookieJar | undefined) {
    this.#endpoint = endpoint;
    this.#jar = jar;
    this.initialized = initialized;
    this.id = initialized.headers["mcp-session-id"];
  }

  /** Sends initialize. Gives what came back where that is no session. */
  static async begin(endpoint: Endpoint, jar?: CookieJar): Promise<Session | Seen> {
    const params = {
      protocolVersion,
      capabilities: {},
      clientInfo: { name: "mooring-doctor", version: "1.0.0" },
    };
    const cookie = jar?.header(endpoint.url);
    const headers: Record<string, string> = cookie === undefined ? {} : { cookie };
    const seen = await post(endpoint, { id: 0, method: "initialize", params }, headers, answerWithinMs);
    if (seen.kind === "failure") return seen;
    jar?.note(seen.setCookies);
    const isSession = isAnswered(seen) && typeof seen.message?.result?.protocolVersion === "string";
    return isSession ? new Session(endpoint, seen, jar) : seen;
  }

  get serverInfo(): { readonly name?: unknown; readonly version?: unknown } {
    return (this.initialized.message?.result?.serverInfo ?? {}) as { name?: unknown };
  }

  get capabilities(): Readonly<Record<string, unknown>> {
    return (this.initialized.message?.result?.capabilities ?? {}) as Record<string, unknown>;
  }

  /** Sends a request, once. */
  async ask(method: string, params: object = {}, options: PostOptions = {}): Promise<PostAnswer> {
    this.#requests += 1;
    const message = { id: this.#requests, method, params };
    const { headers, withinMs = answerWithinMs } = options;
    const seen = await post(this.#endpoint, message, { ...this.#headers(), ...headers }, withinMs);
    if (seen.kind === "answer") this.#jar?.note(seen.setCookies);
    return seen;
  }

  /** Sends a notification, once. */
  async notify(method: string): Promise<PostAnswer> {
    const seen = await post(this.#endpoint, { method }, this.#headers(), answerWithinMs);
    if (seen.kind === "answer") this.#jar?.note(seen.setCookies);
    return seen;
  }

  call(tool: string, args: object, options: PostOptions & { readonly progressToken?: string } = {}) {
    const { progressToken, ...rest } = options;
    const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
    return this.ask("tools/call", { name: tool, arguments: args, ...meta }, rest);
  }

  /** Opens the standalone stream, once. */
  listen(more: Ask["headers"] = {}): Promise<Opened | SeenFailure> {
    const headers = { ...this.#headers(), accept: "text/event-stream", ...more };
    return this.#endpoint.open({ method: "GET", headers, headWithinMs: streamWithinMs });
  }

  /** Ends the session, wherever it is. */
  async end(endpoint: Endpoint): Promise<void> {
    if (this.id === undefined) return;
    for (let tries = 0; tries < mostTries; tries += 1) {
      const opened = await endpoint.open({
        method: "DELETE",
        headers: this.#headers(),
        headWithinMs: endWithinMs,
      });
      if (opened.kind === "failure") return;
      const seen = await readAnswer(opened, undefined, endWithinMs);
      if (!isMiss(seen)) return;
    }
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = {
      "mcp-protocol-version": String(this.initialized.message?.result?.protocolVersion),
    };
    if (this.id !== undefined) headers["mcp-session-id"] = this.id;
    const cookie = this.#jar?.header(this.#endpoint.url);
    if (cookie !== undefined) headers.cookie = cookie;
    return headers;
  }
}

/**
 * Sends again what a node without the session got: what is checked elsewhere must not hide what is checked here.
 * Gives the last answer.
 */
export async function insist<T>(send: () => Promise<T>, missed: (answer: T) => boolean): Promise<T> {
  let answer = await send();
  for (let tries = 1; tries < mostTries && missed(answer); tries += 1) answer = await send();
  return answer;
}

/** Whether a stream was asked of a node that doesn't have the session. */
export function isMissedStream(opened: Opened | SeenFailure): boolean {
  if (opened.kind === "failure" || (opened.status !== 404 && opened.status !== 400)) return false;
  opened.body.destroy();
  return true;
}

async function post(
  endpoint: Endpoint,
  message: { readonly id?: number; readonly method: string; readonly params?: object },
  headers: Ask["headers"],
  withinMs: number,
): Promise<PostAnswer> {
  const opened = await endpoint.open({
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    outlasts: message.method === "initialize",
    headWithinMs: withinMs,
  });
  return opened.kind === "failure" ? opened : await readAnswer(opened, message.id, withinMs);
}
