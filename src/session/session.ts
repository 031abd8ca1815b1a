import { parseSessionId } from "../model/session-id.ts";
import type { ServerDefinition } from "./define-server.ts";
import type { HoldBack } from "./hold-back.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { RetainedEvents } from "./retained-events.ts";
import type { SessionContext } from "./session-context.ts";
import { SessionState } from "./state.ts";
import { SessionTransport } from "./transport.ts";
import type { McpServerLike } from "./transport-types.ts";

/** What the sessions of a node share. */
export interface SessionHost {
  readonly node: { readonly name: string; readonly tag: string };
  readonly definition: ServerDefinition;
  readonly retained: RetainedEvents;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  readonly answerAsJson: boolean;
  now(): number;
  /** A stream's client reads more slowly than the server writes. */
  overflowed(session: string, stream: string): void;
  /** The server reported an error that no request answers for. */
  serverFailed(session: string, error: Error): void;
}

/** What is known of a session when it begins. */
export interface SessionStart {
  readonly id: string;
  readonly epoch: number;
  /** "name/version", as the client says. */
  readonly client: string;
}

/** How long the end of a session waits for its server. */
const closeMs = 5_000;

/** One live session: the server made for it, its transport and its state. */
export class Session {
  readonly id: string;
  readonly home: string;
  readonly epoch: number;
  readonly client: string;
  readonly createdAt: number;
  readonly transport: SessionTransport;
  lastSeenAt: number;
  readonly #server: McpServerLike;
  readonly #end: AbortController;

  private constructor(
    start: SessionStart,
    now: number,
    parts: { transport: SessionTransport; server: McpServerLike; end: AbortController },
  ) {
    this.id = start.id;
    this.home = parseSessionId(start.id)?.tag ?? "";
    this.epoch = start.epoch;
    this.client = start.client;
    this.createdAt = now;
    this.lastSeenAt = now;
    this.transport = parts.transport;
    this.#server = parts.server;
    this.#end = parts.end;
  }

  /** Makes the session's server and connects it. Rejects with what the person's own code threw. */
  static async open(host: SessionHost, start: SessionStart): Promise<Session> {
    const end = new AbortController();
    const state = new SessionState();
    const context: SessionContext = {
      id: start.id,
      node: host.node,
      epoch: start.epoch,
      signal: end.signal,
      state: (key, initial) => state.cell(key, initial),
    };
    const transport = new SessionTransport({
      sessionId: start.id,
      ring: host.retained.ring(),
      keepAlive: host.keepAlive,
      holdBack: host.holdBack,
      answerAsJson: host.answerAsJson,
      now: host.now,
      overflowed: (stream) => host.overflowed(start.id, stream),
    });
    transport.onerror = (error) => host.serverFailed(start.id, error);
    try {
      const server = await host.definition.create({ session: context });
      await server.connect(transport as never);
      return new Session(start, host.now(), { transport, server, end });
    } catch (error) {
      // What the person's own code had begun before it failed ends by this.
      end.abort();
      throw error;
    }
  }

  /**
   * Ends this node's copy: its calls are answered, its streams end, its server is closed, its signal aborts. Never
   * rejects: whatever the person's own code throws here, the session is over.
   */
  async close(): Promise<Error | undefined> {
    this.#end.abort();
    try {
      await this.transport.close();
      await this.#closeServer();
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** The person's own code may wait here for something that never comes, and a stopping node must not wait with it. */
  async #closeServer(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`The server did not close within ${closeMs} ms`)), closeMs);
    });
    try {
      await Promise.race([this.#server.close(), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
