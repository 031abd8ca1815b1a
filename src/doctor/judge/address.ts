import { failed, type Judgement, notRun, ok, warning } from "../check.ts";
import type { SeenCertificate } from "../endpoint.ts";
import type { Failure } from "../failure.ts";
import { describe, type Seen } from "../seen.ts";

const dayMs = 24 * 60 * 60 * 1_000;

/** A certificate that is renewed by a machine is renewed a month before its end; two weeks before it, none will be. */
const endsSoonDays = 14;

const nobody = "No client can connect.";

/** Whether anything answers at the address. */
export function judgeReachable(first: Seen): Judgement {
  if (first.kind === "answer") return ok(`HTTP ${first.status} after ${Math.round(first.headMs)} ms`);
  const { code, message } = first.failure;
  switch (code) {
    case "certificate":
      // It answers; what is wrong with its certificate is judged by itself.
      return ok("TLS answers");
    case "refused":
      return failed("not-listening", message, nobody);
    case "unknown-host":
      return failed("unknown-host", message, nobody);
    case "not-tls":
    case "not-http":
      return failed("not-tls", message, nobody);
    default:
      return failed("no-answer", message, nobody);
  }
}

export interface HttpsFacts {
  readonly url: URL;
  /** Whether the address is this machine's own. */
  readonly local: boolean;
  readonly insecure: boolean;
  /** Why the certificate is not trusted. */
  readonly failure: Failure | undefined;
  readonly certificate: SeenCertificate | undefined;
  /** What the same address answers on plain HTTP; only asked where HTTPS has its usual port. */
  readonly plain: Seen | undefined;
  readonly now: number;
}

/** Whether the way to the endpoint is private, and trusted by clients. */
export function judgeHttps({ url, local, insecure, failure, certificate, plain, now }: HttpsFacts): Judgement {
  if (url.protocol !== "https:") {
    if (local) return ok("plain HTTP, on this machine only");
    return warning(
      "plain-http",
      `${url.origin} is plain HTTP.`,
      "Whoever reads a session id on the way has the session, and clients don't send Secure cookies.",
    );
  }
  if (failure !== undefined) {
    return failed(
      "certificate",
      `The TLS handshake failed: ${failure.message}.`,
      "No client connects without being told to trust it, and most have no switch for that.",
    );
  }
  if (insecure) return notRun("--insecure was given: the certificate was not looked at");
  const days = certificate === undefined ? undefined : Math.floor((certificate.validTo - now) / dayMs);
  if (days !== undefined && days < endsSoonDays) {
    return warning(
      "certificate-ends",
      `The certificate ends in ${days} ${days === 1 ? "day" : "days"}.`,
      "From then on no client connects.",
    );
  }
  if (plain?.kind === "answer" && (plain.status < 300 || [301, 302, 303].includes(plain.status))) {
    const what = plain.status < 300 ? "is served too" : `answers ${plain.status}, which turns a POST into a GET`;
    return warning(
      "also-plain-http",
      `http://${url.hostname}${url.pathname} ${what}.`,
      "A client that was given the address with http:// sends its session id in the clear, or fails with an answer that doesn't say why.",
    );
  }
  const valid = days === undefined ? "" : `, valid for ${days} more days`;
  return ok(`certificate by ${certificate?.issuer ?? "an unnamed authority"}${valid}`);
}

/** One step from an address to another. */
export interface Redirect {
  readonly status: number;
  readonly to: string;
  /** Whether the doctor went there. */
  readonly followed: boolean;
}

export function judgeRedirect(redirects: readonly Redirect[]): Judgement {
  const [first] = redirects;
  if (first === undefined) return ok();
  const path = redirects.map(({ status, to }) => `${status} to ${to}`).join(", then ");
  if (redirects.some(({ status }) => status === 301 || status === 302 || status === 303)) {
    return failed(
      "redirect",
      path,
      "Clients that follow such a redirect send a GET in place of the POST (fetch, and so the TypeScript SDKs; httpx, and so the Python SDK), and get no answer that they understand.",
    );
  }
  return warning(
    "redirect",
    path,
    "Each request makes the way twice, some clients follow no redirects, and most send no Authorization header to another host.",
  );
}

/** What initialize, initialized and tools/list brought. */
export interface McpFacts {
  readonly initialize: Seen;
  /** Absent where initialize failed. */
  readonly initialized?: Seen | undefined;
  /** Absent where the server has no tools. */
  readonly tools?: Seen | undefined;
  readonly begun: boolean;
  readonly server: string;
}

export function judgeMcp({ initialize, initialized, tools, begun, server }: McpFacts): Judgement {
  if (!begun) return notMcp(initialize);
  if (initialized?.kind === "answer" && initialized.status >= 300) {
    return failed(
      "not-mcp",
      `initialize was answered, notifications/initialized was not: ${describe(initialized)}.`,
      "A client's handshake fails.",
    );
  }
  if (initialized?.kind === "failure") {
    return failed(
      "no-answer",
      `notifications/initialized: ${initialized.failure.message}.`,
      "A client's handshake fails.",
    );
  }
  if (tools !== undefined && (tools.kind === "failure" || tools.message?.result === undefined)) {
    return failed(
      "not-mcp",
      `tools/list: ${describe(tools)}.`,
      "The server says that it has tools, and clients ask for them first of all.",
    );
  }
  return ok(server);
}

function notMcp(initialize: Seen): Judgement {
  const seen = `initialize: ${describe(initialize)}.`;
  if (initialize.kind === "failure") return failed("no-answer", seen, nobody);
  const { status } = initialize;
  if (status === 401 || status === 403) {
    return failed("authorization", seen, "Nothing more can be seen without the right to.");
  }
  if (status >= 500) return failed("backend", seen, nobody);
  return failed("not-mcp", seen, nobody);
}

/** What a session id has to be (2025-11-25, Session Management): visible ASCII, unguessable. */
export function judgeSessionId(id: string | undefined): Judgement {
  if (id === undefined) return ok("none: the server keeps no sessions");
  if (!/^[\x21-\x7e]+$/.test(id)) {
    return failed(
      "session-id",
      `The id has other characters than visible ASCII: ${JSON.stringify(id)}.`,
      "Clients and proxies may refuse such a header.",
    );
  }
  if (id.length < 16) {
    return warning(
      "session-id",
      `The id has ${id.length} characters: ${id}.`,
      "Whoever guesses a session id has the session; 128 random bits take 22 characters of base64.",
    );
  }
  return ok(id.length > 40 ? `${id.slice(0, 39)}…` : id);
}
