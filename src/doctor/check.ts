/** How a check ended. A warning is no failure: what it tells of harms some clients, or only some day. */
export type CheckResult = "ok" | "warning" | "failed" | "not-run";

/** One check of an endpoint, as it is reported. */
export interface Check {
  readonly id: CheckId;
  readonly title: string;
  readonly result: CheckResult;
  /** What came back. */
  readonly seen?: string;
  /** Why it matters, and to which clients; of a check that was not run: why not. */
  readonly why?: string;
  /** How to mend it, with the lines to put into the balancer's configuration. */
  readonly mend?: string;
}

export interface Report {
  readonly url: string;
  /** Whether nothing failed. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/** All checks, in the order in which they are reported. */
export const checkTitles = {
  reachable: "The endpoint answers",
  https: "HTTPS is right",
  redirect: "The address answers itself, without a redirect",
  mcp: "It speaks MCP",
  "session-id": "The session id is of the right form",
  cookieless: "A client without cookies reaches its session with every request",
  cookies: "A client with cookies reaches its session with every request",
  "foreign-cookie": "A session is reached although the request was sent to another node",
  "cookie-attributes": "The cookie has the right attributes",
  "unknown-session": "An unknown session gets a 404 that says so",
  "stream-head": "A stream begins at once",
  "stream-events": "Events arrive when they are sent",
  compression: "Streams are not compressed",
  "idle-stream": "A silent stream stays open",
  "slow-call": "A call that takes long is answered",
  resume: "A stream goes on after Last-Event-ID",
  "large-body": "A body of 64 KiB passes",
  "two-session-ids": "Two session headers are refused",
  origin: "A stranger's web page is refused",
  "forged-headers": "Headers of Mooring's own change nothing when a client sends them",
} as const;

export type CheckId = keyof typeof checkTitles;

/** What is wrong, as far as it can be mended: mend/ has the words and lines for each. */
export type Problem =
  | "not-listening"
  | "unknown-host"
  | "no-answer"
  | "not-tls"
  | "certificate"
  | "certificate-ends"
  | "plain-http"
  | "also-plain-http"
  | "redirect"
  | "not-mcp"
  | "authorization"
  | "session-id"
  | "affinity"
  | "affinity-of-cookies"
  | "forked"
  | "backend"
  | "cookie-attributes"
  | "refusal"
  | "buffering"
  | "compression"
  | "idle"
  | "resume"
  | "body-size"
  | "two-session-ids"
  | "origin"
  | "forged-headers";

/** What a judge says of what was seen. */
export type Judgement =
  | { readonly result: "ok"; readonly seen?: string }
  | {
      readonly result: "warning" | "failed";
      readonly seen: string;
      readonly why: string;
      readonly problem: Problem;
    }
  | { readonly result: "not-run"; readonly why: string };

export const ok = (seen?: string): Judgement => (seen === undefined ? { result: "ok" } : { result: "ok", seen });
export const notRun = (why: string): Judgement => ({ result: "not-run", why });
export const failed = (problem: Problem, seen: string, why: string): Judgement => ({
  result: "failed",
  problem,
  seen,
  why,
});
export const warning = (problem: Problem, seen: string, why: string): Judgement => ({
  result: "warning",
  problem,
  seen,
  why,
});
