import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../ports/log.ts";
import type { Principal } from "../ports/registry.ts";
import type { SessionContext } from "./session-context.ts";
import type { McpServerLike } from "./transport-types.ts";

/** What the person's own code gets when a session begins. */
export interface ServerContext {
  readonly session: SessionContext;
}

/** What the person's own app gets when its node starts. */
export interface AppContext {
  readonly node: { readonly name: string; readonly tag: string };
  /** The Redis URL that the node was given, for the app's own use; absent in a cluster of one. */
  readonly redis: string | undefined;
  readonly log: Log;
  /** Aborts when the node stops: close connections and timers then. */
  readonly signal: AbortSignal;
}

/** Answers all HTTP requests outside `/mcp`. */
export type AppHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Makes the MCP server of one session: SDK v2 (`@modelcontextprotocol/server`) or v1 (`@modelcontextprotocol/sdk`). */
export type ServerFactory = (context: ServerContext) => McpServerLike | Promise<McpServerLike>;

/** A request, as far as it says who sent it. */
export interface AuthRequest {
  readonly method: string;
  /** The path, with the query: `/mcp`. */
  readonly url: string;
  /** Their names in lower case. */
  readonly headers: IncomingHttpHeaders;
}

/** Says for whom a request is, or gives undefined to refuse it. */
export type Authenticate = (request: AuthRequest) => Principal | undefined | Promise<Principal | undefined>;

export interface ServerOptions {
  /**
   * Says for whom each request to `/mcp` is: what an issuer vouches for, read from the Authorization header, say. A
   * request for which it gives undefined is refused with 401. A session belongs to the principal that began it, on every
   * node and after every move: to all others it is unknown. Called for each request, so it should be quick.
   */
  readonly authenticate?: Authenticate;
  /** Makes the app that answers every path but `/mcp`, once per node. */
  readonly app?: (context: AppContext) => AppHandler | Promise<AppHandler>;
}

/** What a server module exports as its default: see {@link defineServer}. */
export interface ServerDefinition extends ServerOptions {
  readonly create: ServerFactory;
}

/**
 * Defines what a cluster serves; the default export of a server module.
 *
 * @param create called with its {@link SessionContext} for each session that begins on a node or comes to it; what it
 * gives after 20 s is closed, and the session is answered for as if it had thrown
 */
export function defineServer(create: ServerFactory, options: ServerOptions = {}): ServerDefinition {
  return { create, ...options };
}
