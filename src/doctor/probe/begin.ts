import type { Endpoint } from "../endpoint.ts";
import type { Failure } from "../failure.ts";
import type { Redirect } from "../judge/address.ts";
import type { Seen } from "../seen.ts";
import { Session } from "../session.ts";

/** The way to a first session. */
export interface Begun {
  /** What the very first request brought. */
  readonly first: Seen;
  /** What the last initialize brought. */
  readonly initialize: Seen;
  readonly session: Session | undefined;
  readonly redirects: readonly Redirect[];
  /** Why the certificate is not trusted. */
  readonly untrusted: Failure | undefined;
}

const mostRedirects = 3;

/**
 * Begins a first session. Where the address redirects, or its certificate is not trusted, the examination goes on
 * behind that: there may be more to mend. Headers that the person gave go neither to another host nor to a stranger.
 */
export async function begin(endpoint: Endpoint): Promise<Begun> {
  const redirects: Redirect[] = [];
  let first: Seen | undefined;
  let untrusted: Failure | undefined;
  for (;;) {
    const begun = await Session.begin(endpoint);
    if (begun instanceof Session) {
      const initialize = begun.initialized;
      return { first: first ?? initialize, initialize, session: begun, redirects, untrusted };
    }
    first ??= begun;
    const mayGoOn = goOn(endpoint, begun, redirects);
    if (begun.kind === "failure" && begun.failure.code === "certificate") untrusted ??= begun.failure;
    if (!mayGoOn) return { first, initialize: begun, session: undefined, redirects, untrusted };
  }
}

/** Changes the endpoint's target so that another try makes sense; gives false when there is none. */
function goOn(endpoint: Endpoint, seen: Seen, redirects: Redirect[]): boolean {
  const { target } = endpoint;
  if (seen.kind === "failure") {
    if (seen.failure.code !== "certificate" || target.insecure || target.headers.length > 0) return false;
    endpoint.target = { ...target, insecure: true };
    return true;
  }
  const { location } = seen.headers;
  if (seen.status < 300 || seen.status > 399 || location === undefined || redirects.length === mostRedirects) {
    return false;
  }
  const url = URL.canParse(location, target.url) ? new URL(location, target.url) : undefined;
  const followed =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    (target.headers.length === 0 || url.hostname === target.url.hostname);
  redirects.push({ status: seen.status, to: url?.href ?? location, followed });
  if (followed) endpoint.target = { ...target, url };
  return followed;
}
