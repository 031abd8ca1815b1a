import type { JsonRpcMessage } from "./json-rpc.ts";

/**
 * The parts of the SDKs' public `Transport` interface that a session uses. v1 and v2 share them, so they stand here
 * once instead of coming from either package, and neither is a dependency.
 */
export interface SendOptions {
  /** The request of the client that this message belongs to: it leaves on that request's stream. */
  readonly relatedRequestId?: string | number | undefined;
}

/** What the server learns of a message besides its content. */
export interface MessageExtra {
  /** v2: the HTTP request, made when it is first asked for. */
  readonly request?: Request;
  /** v1: headers of the HTTP request. */
  readonly requestInfo?: { readonly headers: Record<string, string | string[] | undefined> };
  readonly closeSSEStream?: () => void;
  readonly closeStandaloneSSEStream?: () => void;
}

export interface McpTransport {
  start(): Promise<void>;
  send(message: JsonRpcMessage, options?: SendOptions): Promise<void>;
  close(): Promise<void>;
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: JsonRpcMessage, extra?: MessageExtra) => void) | undefined;
  sessionId?: string | undefined;
  setSupportedProtocolVersions?: ((versions: string[]) => void) | undefined;
}

/**
 * An MCP server of either SDK, high-level (`McpServer`) or low-level (`Server`): whatever can be connected to a
 * transport. The SDKs type their own `Transport` a little differently from each other, so the parameter is left open.
 */
export interface McpServerLike {
  connect(transport: never): Promise<void>;
  close(): Promise<void>;
}
