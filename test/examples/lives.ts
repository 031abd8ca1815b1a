import type { McpServerLike, SessionContext } from "mooring";
import type { JsonRpcMessage } from "../../src/session/json-rpc.ts";
import { SessionState } from "../../src/session/state.ts";
import { SessionTasks } from "../../src/session/tasks.ts";
import type { McpTransport } from "../../src/session/transport-types.ts";
import { eventually } from "../support/eventually.ts";

type Make = (session: SessionContext) => McpServerLike | Promise<McpServerLike>;

/** One session over several lives: each on another node, which gets what was kept, and dies without a word. */
export class Lives {
  /** What has left, in order, over all lives. */
  readonly sent: JsonRpcMessage[] = [];
  readonly failures: string[] = [];
  readonly #make: Make;
  #kept: Record<string, string> = {};
  #epoch = 0;
  #life: { transport: McpTransport; tasks: SessionTasks; end: AbortController } | undefined;
  /** The client's messages that shape a session. */
  readonly #journal: JsonRpcMessage[] = [
    { jsonrpc: "2.0", id: "initialize", method: "initialize", params: initialize },
    { jsonrpc: "2.0", method: "notifications/initialized" },
  ];
  #calls = 0;

  constructor(make: Make) {
    this.#make = make;
  }

  /** The data of the log messages that have left. */
  get logged(): unknown[] {
    return this.sent
      .filter(({ method }) => method === "notifications/message")
      .map(({ params }) => (params as { data: unknown }).data);
  }

  get updated(): number {
    return this.sent.filter(({ method }) => method === "notifications/resources/updated").length;
  }

  /** The session begins, or is adopted. */
  async begin(): Promise<void> {
    this.#epoch += 1;
    const end = new AbortController();
    const state = new SessionState({ stored: this.#kept, onTouched: () => {} });
    const tasks = new SessionTasks({ state, failed: (_name, error) => this.failures.push(error.message) });
    const context: SessionContext = {
      id: "aaaaaa.session",
      node: { name: `node-${this.#epoch}`, tag: "aaaaaa" },
      epoch: this.#epoch,
      principal: undefined,
      signal: end.signal,
      state: (key, initial, options) => state.cell(key, initial, options),
      task: (name, run, options) => tasks.declare(name, run, options),
      pin: () => {},
    };
    const unanswered = new Set(this.#journal.map(({ id }) => id).filter((id) => id !== undefined));
    let replayed = () => {};
    const replay = new Promise<void>((resolve) => {
      replayed = resolve;
    });
    const transport: McpTransport = {
      start: async () => {},
      close: async () => {},
      send: async (message) => {
        if (end.signal.aborted) return;
        if (message.id !== undefined && unanswered.delete(message.id)) {
          if (unanswered.size === 0) replayed();
          return;
        }
        // A message and what changed before it are kept as one, and then it leaves.
        this.#kept = { ...this.#kept, ...state.changes() };
        this.sent.push(message);
      },
    };
    const server = await this.#make(context);
    await server.connect(transport as never);
    state.begun();
    for (const message of this.#journal) transport.onmessage?.(message);
    await replay;
    this.#life = { transport, tasks, end };
    tasks.begin(this.#epoch > 1);
  }

  /** Sends a message that shapes the session, so that the next life hears it too. */
  async shape(method: string, params: Record<string, unknown>): Promise<void> {
    this.#calls += 1;
    const message: JsonRpcMessage = { jsonrpc: "2.0", id: this.#calls, method, params };
    this.#journal.push(message);
    await this.#ask(message);
  }

  async call(name: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    this.#calls += 1;
    const params = { name, arguments: args };
    const answer = await this.#ask({ jsonrpc: "2.0", id: this.#calls, method: "tools/call", params });
    return answer.result?.structuredContent as Record<string, unknown>;
  }

  /** The node dies: nothing that it does from now on reaches anybody. */
  die(): void {
    this.#life?.end.abort();
    // Only so that the test's process doesn't go on with it.
    void this.#life?.tasks.end("owner-lost");
    this.#life = undefined;
  }

  async #ask(message: JsonRpcMessage): Promise<JsonRpcMessage> {
    this.#life?.transport.onmessage?.(message);
    return eventually(() => {
      const answer = this.sent.find(({ id, method }) => id === message.id && method === undefined);
      if (answer === undefined) throw new Error(`No answer to ${message.method}`);
      return answer;
    });
  }
}

const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "lives", version: "1.0.0" },
};
