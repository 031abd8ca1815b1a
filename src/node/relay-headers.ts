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

/** The headers of a client's request as they go on to the owner. */
export function requestHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = namedByConnection(headers.connection);
  const passed: Record<string, string | string[]> = {};
  for (const name in headers) {
    // Ours mean something between nodes only, and pseudo-headers of HTTP/2 are no headers for the next hop.
    if (ofOneHop.has(name) || name.startsWith("mooring-") || name.startsWith(":") || named?.has(name)) continue;
    const value = headers[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/** The headers of an owner's answer as they go back to the client. Content-Length stays: it keeps quick answers whole. */
export function responseHeaders(headers: readonly string[]): string[] {
  const passed: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const written = headers[index] as string;
    const name = written.toLowerCase();
    if (name === "date" || name.startsWith("mooring-")) continue;
    if (ofOneHop.has(name) && name !== "content-length") continue;
    passed.push(written, headers[index + 1] as string);
  }
  return passed;
}

/** The value of a header of an answer. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const written = headers[index] as string;
    if (written.length === name.length && written.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}

/** What the sender says is for this hop only. Most say `keep-alive` or `close`, and name no header. */
function namedByConnection(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return undefined;
  const named = new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
  // The owner has to know which session it is about.
  named.delete("mcp-session-id");
  return named;
}
