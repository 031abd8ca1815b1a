import { failed, type Judgement, notRun, ok, warning } from "../check.ts";
import { type Cookie, defaultPath, pathMatches } from "../cookies.ts";
import { describeAll, isAnswered, isMiss, type Seen } from "../seen.ts";

/** What many requests of one session brought, each on a connection of its own. */
export interface Tries {
  readonly answers: readonly Seen[];
  /** The nodes that said that they answered; only yardstick says it. */
  readonly nodes: readonly string[];
}

const cookieless =
  "Most clients keep no cookies: everything built on Node's fetch, so both TypeScript SDKs and the desktop clients made with them, and the SDKs of Go and Rust. With each request they land on some node, and most don't begin a new session on a 404: they stop.";

export function judgeCookieless(tries: Tries): Judgement {
  return judgeTries(tries, "affinity", cookieless);
}

export function judgeCookies(tries: Tries): Judgement {
  return judgeTries(
    tries,
    "affinity-of-cookies",
    "Clients that keep cookies (the Python SDK, browsers) lose their session too: the cookie does not lead to the node that set it.",
  );
}

/** Requests that the balancer was made to send to another node than the session's. */
export function judgeForeignCookie(tries: Tries, cookielessFailed: boolean): Judgement {
  if (cookielessFailed) return notRun("a client without cookies loses its session already");
  const judged = judgeTries(
    tries,
    "affinity",
    "Whatever sends a request elsewhere, a session is lost: one cookie jar for several sessions, a node that is added or removed, a balancer's restart.",
  );
  return judged.result === "failed" ? { ...judged, result: "warning" } : judged;
}

function judgeTries({ answers, nodes }: Tries, problem: "affinity" | "affinity-of-cookies", why: string): Judgement {
  const bad = answers.filter((seen) => !isAnswered(seen));
  const different = new Set(nodes);
  if (bad.length === 0) {
    if (different.size > 1) {
      return failed(
        "forked",
        `One session was served by ${different.size} nodes: ${[...different].sort().join(", ")}.`,
        "Each node has a state of its own for it, so that a client sees its changes come and go.",
      );
    }
    const [node] = nodes;
    return ok(`${answers.length} of ${answers.length} requests answered${node === undefined ? "" : `, by ${node}`}`);
  }
  if (bad.every(isLimited))
    return notRun(`the endpoint limits its callers: ${bad.length} of ${answers.length} got 429`);
  const seen = `${bad.length} of ${answers.length} requests failed, each on a connection of its own: ${describeAll(bad)}.`;
  return bad.some(isMiss) ? failed(problem, seen, why) : failed("backend", seen, badBackend);
}

function isLimited(seen: Seen): boolean {
  return seen.kind === "answer" && seen.status === 429;
}

const badBackend =
  "Clients take an error of the balancer, or a connection that ends, as the end of their call or of their session.";

export interface CookieFacts {
  readonly url: URL;
  readonly cookies: readonly Cookie[];
  /** Whether sessions are reached without them. */
  readonly needed: boolean;
}

/** Whether clients send the endpoint's cookies back, and to nobody else. */
export function judgeCookieAttributes({ url, cookies, needed }: CookieFacts): Judgement {
  if (cookies.length === 0) return notRun("the endpoint sets no cookie");
  const secure = url.protocol === "https:";
  const lost: string[] = [];
  const loose: string[] = [];
  for (const cookie of cookies) {
    const { name, path, domain, httpOnly, sameSite } = cookie;
    const of = `${name}:`;
    if (!pathMatches(url.pathname, path ?? defaultPath(url.pathname))) {
      lost.push(`${of} Path=${path} does not cover ${url.pathname}`);
    } else if ((path ?? defaultPath(url.pathname)) === "/" && url.pathname !== "/") {
      loose.push(`${of} Path=/ sends it with every request to the host, and makes all of them sticky`);
    }
    if (sameSite === "none" && !cookie.secure) lost.push(`${of} SameSite=None without Secure: browsers drop it`);
    if (cookie.secure && !secure && needed)
      lost.push(`${of} Secure, but this is plain HTTP: most clients don't send it`);
    if (!cookie.secure && secure) loose.push(`${of} without Secure it is sent in the clear too`);
    if (!httpOnly) loose.push(`${of} without HttpOnly every script of the page can read it`);
    if (sameSite === undefined) loose.push(`${of} without SameSite other sites' pages may send it`);
    if (domain !== undefined) loose.push(`${of} Domain=${domain} gives it to other hosts`);
  }
  if (lost.length > 0) {
    const why = needed
      ? "Clients don't send it back, so that they lose their session."
      : "Clients don't send it back. Sessions are found without it here.";
    const seen = `${[...lost, ...loose].join("; ")}.`;
    if (!needed) return warning("cookie-attributes", seen, why);
    const overHttp = !secure && cookies.some((cookie) => cookie.secure);
    return failed(overHttp ? "plain-http" : "cookie-attributes", seen, why);
  }
  if (loose.length > 0) {
    return warning("cookie-attributes", `${loose.join("; ")}.`, "It reaches more than it is for.");
  }
  const unused = cookies.some((cookie) => cookie.secure) && !secure ? ", sent over HTTPS only and not needed here" : "";
  return ok(cookies.map(({ name }) => name).join(", ") + unused);
}
