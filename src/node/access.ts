import type { IncomingHttpHeaders } from "node:http";

/** Who may call a listener: against DNS rebinding (2025-11-25, Streamable HTTP, Security Warning). */
export interface AccessRules {
  /** Bound to loopback: then only local Host headers and those allowed are accepted. */
  readonly loopback: boolean;
  readonly allowHost: readonly string[];
  readonly allowOrigin: readonly string[];
  /** Whether X-Forwarded-Host names the request's own host. */
  readonly trustProxy: boolean;
}

export type Access =
  | {
      readonly kind: "allowed";
      /** The browser's origin, to be told that it may read the answer. */
      readonly origin?: string;
    }
  | { readonly kind: "refused"; readonly message: string };

const localNames = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether a URL's host is this machine. */
export function isLocalUrl(url: string): boolean {
  return URL.canParse(url) && localNames.has(new URL(url).hostname);
}

/** Checks the Host header of a request. */
export function checkHost(headers: IncomingHttpHeaders, rules: Pick<AccessRules, "loopback" | "allowHost">): Access {
  const host = headers.host ?? "";
  const hostname = nameOf(host);
  if (
    !rules.loopback ||
    localNames.has(hostname) ||
    rules.allowHost.includes(hostname) ||
    rules.allowHost.includes(host)
  ) {
    return { kind: "allowed" };
  }
  const message = `Invalid Host header: ${host}. This listener is bound to loopback; allow the name with --allow-host.`;
  return { kind: "refused", message };
}

/** Checks the Host and Origin headers of a request. */
export function checkAccess(headers: IncomingHttpHeaders, rules: AccessRules): Access {
  const { origin } = headers;
  if (rules.loopback) {
    const byHost = checkHost(headers, rules);
    if (byHost.kind === "refused") return byHost;
  }
  if (origin === undefined) return { kind: "allowed" };
  if (isAllowedOrigin(origin, headers, rules)) return { kind: "allowed", origin };
  return { kind: "refused", message: `Invalid Origin header: ${origin}. Allow it with --allow-origin.` };
}

function isAllowedOrigin(origin: string, headers: IncomingHttpHeaders, rules: AccessRules): boolean {
  if (rules.allowOrigin.includes(origin) || rules.allowOrigin.includes("*")) return true;
  if (!URL.canParse(origin)) return false;
  const { host, hostname } = new URL(origin);
  const forwarded = rules.trustProxy ? firstOf(headers["x-forwarded-host"]) : undefined;
  return localNames.has(hostname) || host === headers.host || (host !== "" && host === forwarded);
}

/** Each proxy adds its own to the end: the first is what the client asked for. */
function firstOf(forwarded: string | string[] | undefined): string | undefined {
  return String(forwarded ?? "")
    .split(",", 1)[0]
    ?.trim();
}

/** The name in a Host header, without its port. Cut by hand: parsing a URL would take longer than all other checks. */
function nameOf(host: string): string {
  const end = host.startsWith("[") ? host.indexOf("]") + 1 : host.indexOf(":");
  return (end > 0 ? host.slice(0, end) : host).toLowerCase();
}

/** What a browser is told about an allowed origin's request. */
export function corsHeaders(origin: string): Record<string, string> {
  return {
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Expose-Headers": "Mcp-Session-Id, WWW-Authenticate",
    Vary: "Origin",
  };
}

/** What a browser is told when it asks before a request (CORS preflight). */
export function preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const asked = headers["access-control-request-headers"];
  return {
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers":
      asked ?? "Accept, Authorization, Content-Type, Last-Event-ID, Mcp-Protocol-Version, Mcp-Session-Id",
    "Access-Control-Max-Age": "600",
  };
}
