import { type CallToolResult, McpServer, type ServerContext as ToolContext } from "@modelcontextprotocol/server";
import type { SessionContext } from "mooring";
import { z } from "zod";
import { defineServer, type ServerDefinition, type ServerOptions } from "../../src/session/define-server.ts";
import { eventually } from "./eventually.ts";

/** A call of the tool `wait` that has begun: the test says what it sends and when it ends. */
export interface ConductedCall {
  readonly ctx: ToolContext;
  /** Sends a numbered progress notification on the call's own stream. */
  progress(n: number, padding?: string): Promise<void>;
  /** Ends the call with a text. */
  answer(text: string): void;
  /** Whether the server was told to give the call up. */
  readonly aborted: boolean;
}

/** A live session, from the inside. */
export interface ConductedSession {
  readonly context: SessionContext;
  readonly server: McpServer;
  /** Sends a numbered notification on the session's standalone stream. */
  announce(n: number, padding?: string): Promise<void>;
}

const echoInput = z.object({ text: z.string() });
const waitInput = z.object({ name: z.string() });
const text = (value: string): CallToolResult => ({ content: [{ type: "text", text: value }] });

/**
 * An MCP server whose calls and messages the test conducts, in the same process: what happens when is a matter of the
 * test's own order, never of time.
 */
export class ConductedServer {
  readonly definition: ServerDefinition;
  readonly sessions = new Map<string, ConductedSession>();
  readonly #calls = new Map<string, ConductedCall>();

  constructor(options: ServerOptions = {}) {
    this.definition = defineServer(({ session }) => this.#make(session), options);
  }

  /** The call with this name, as soon as it has begun. */
  async call(name: string): Promise<ConductedCall> {
    return await eventually(() => {
      const call = this.#calls.get(name);
      if (call === undefined) throw new Error(`The call ${name} has not begun`);
      return call;
    });
  }

  /** Whether a call with this name ever reached a server. */
  hasCall(name: string): boolean {
    return this.#calls.has(name);
  }

  session(id: string): ConductedSession {
    const session = this.sessions.get(id);
    if (session === undefined) throw new Error(`No session ${id}`);
    return session;
  }

  #make(context: SessionContext): McpServer {
    const server = new McpServer({ name: "conducted", version: "1.0.0" }, { capabilities: { logging: {} } });
    server.registerTool("echo", { inputSchema: echoInput }, async (args) => text(args.text));
    server.registerTool("wait", { inputSchema: waitInput }, (args, ctx) => this.#wait(args.name, ctx));
    this.sessions.set(context.id, {
      context,
      server,
      announce: (n, padding) =>
        server.server.notification({
          method: "notifications/message",
          params: { level: "info", data: { n, padding } },
        }),
    });
    return server;
  }

  #wait(name: string, ctx: ToolContext): Promise<CallToolResult> {
    const progressToken = ctx.mcpReq._meta?.progressToken ?? 0;
    return new Promise((resolve) => {
      this.#calls.set(name, {
        ctx,
        progress: (progress, message) =>
          ctx.mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress, ...(message !== undefined && { message }) },
          }),
        answer: (value) => resolve(text(value)),
        get aborted() {
          return ctx.mcpReq.signal.aborted;
        },
      });
    });
  }
}
