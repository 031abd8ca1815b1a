import type { IncomingHttpHeaders } from "node:http";

/** Headers that belong to one connection (RFC 9110, section 7.6.1), or that the next hop sets itself. */
const ofOneHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "host",
  "content-length",
  "expect",
]);

/** The headers of a client's request as they go on to the owner, as name and value in turns. */
export function requestHeaders(headers: IncomingHttpHeaders): string[] {
  const named = new Set(headers.connection?.split(",").map((name) => name.trim().toLowerCase()));
  // Without it the owner would take the request for another one than was proven.
  named.delete("mcp-session-id");
  const passed: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    // Ours mean something between nodes only, and pseudo-headers of HTTP/2 are no headers for the next hop.
    if (
      value === undefined ||
      ofOneHop.has(name) ||
      named.has(name) ||
      name.startsWith("mooring-") ||
      name.startsWith(":")
    ) {
      continue;
    }
    for (const item of Array.isArray(value) ? value : [value]) passed.push(name, item);
  }
  return passed;
}

/** The headers of an owner's answer as they go back to the client. Content-Length stays: it keeps quick answers whole. */
export function responseHeaders(headers: Record<string, string | string[] | undefined>): string[] {
  const passed: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name === "date" || name.startsWith("mooring-")) continue;
    if (ofOneHop.has(name) && name !== "content-length") continue;
    for (const item of Array.isArray(value) ? value : [value]) passed.push(name, item);
  }
  return passed;
}
