import type { IncomingHttpHeaders } from "node:http";
import { errorCode } from "./json-rpc.ts";

/** What is wrong with a request before any session is asked: the answer's status, JSON-RPC code and message. */
export interface Fault {
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

/** The largest body of a POST, in bytes. */
export const maxBodyBytes = 4 * 1024 * 1024;

/** The most messages in a batch. */
export const maxBatch = 100;

const transportFault = (status: number, message: string): Fault => ({ status, code: errorCode.transport, message });

/** A POST must be able to take both kinds of answer (2025-11-25, Streamable HTTP, Sending Messages, point 2). */
export function checkPostHead(headers: IncomingHttpHeaders): Fault | undefined {
  const accept = headers.accept ?? "";
  if (!accept.includes("application/json") || !accept.includes("text/event-stream")) {
    return transportFault(406, "Not Acceptable: Client must accept both application/json and text/event-stream");
  }
  if (!isJson(headers["content-type"])) {
    return transportFault(415, "Unsupported Media Type: Content-Type must be application/json");
  }
  if (Number(headers["content-length"]) > maxBodyBytes) return bodyTooLarge;
  return undefined;
}

export const bodyTooLarge = transportFault(
  413,
  `Payload Too Large: Request body must not exceed ${maxBodyBytes} bytes`,
);

export function checkGetHead(headers: IncomingHttpHeaders): Fault | undefined {
  if (headers.accept?.includes("text/event-stream") === true) return undefined;
  return transportFault(406, "Not Acceptable: Client must accept text/event-stream");
}

/** After initialize, each request names a revision that the server speaks, or none (2025-11-25, Protocol Version Header). */
export function checkVersion(headers: IncomingHttpHeaders, supported: readonly string[]): Fault | undefined {
  const version = headers["mcp-protocol-version"];
  if (version === undefined || supported.includes(String(version))) return undefined;
  return transportFault(
    400,
    `Bad Request: Unsupported protocol version: ${version} (supported versions: ${supported.join(", ")})`,
  );
}

export const sessionIdMissing = transportFault(400, "Bad Request: Mcp-Session-Id header is required");

/** Node joins repeated headers with a comma, which no session id contains. */
export const sessionIdRepeated = transportFault(
  400,
  "Bad Request: There is more than one Mcp-Session-Id header; send one",
);

export const methodNotAllowed = transportFault(405, "Method not allowed.");

function isJson(contentType: string | undefined): boolean {
  if (contentType === "application/json") return true;
  return contentType?.split(";", 1)[0]?.trim().toLowerCase() === "application/json";
}
