import type { Connection, Exchange } from "./connection.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { messageOf } from "./mcp-answer.ts";
import type { Tool } from "./plan.ts";

const protocolVersion = "2025-11-25";

/** A call as it goes on the wire, and what its answer has to carry. */
export interface Call {
  readonly id: number;
  /** A field of the structured content, and its value. */
  readonly expected: { readonly field: string; readonly value: string | number };
  readonly request: string;
}

/** One MCP session. It sends its own cookie and session id, as a client with a cookie jar does. */
export class LoadSession {
  readonly #path: string;
  readonly #hostLine: string;
  readonly #sessionLines: string;
  readonly #name: number;
  readonly #callHead: string;
  readonly #same: Call | undefined;
  #calls = 0;
  #counts = 0;

  private constructor(url: URL, name: number, sessionLines: string, same: boolean) {
    this.#path = url.pathname;
    this.#hostLine = `Host: ${url.host}\r\n`;
    this.#sessionLines = sessionLines;
    this.#name = name;
    this.#callHead = this.#head("POST");
    this.#same = same ? this.#echo(1, "the same text in each call") : undefined;
  }

  /** Opens a session as clients do: initialize, then initialized. */
  static async open(url: URL, name: number, connection: Connection, same: boolean): Promise<LoadSession> {
    const before = new LoadSession(url, name, "", same);
    const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"${protocolVersion}","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`;
    const answer = expect("initialize", 200, await connection.exchange(withBody(before.#head("POST"), initialize)));
    const message = messageOf(answer);
    if (typeof message === "string" || message.result === undefined) {
      throw new Error(`initialize was answered with ${answer.body.slice(0, 200)}`);
    }
    const id = /\r\nmcp-session-id:[ \t]*([^\r]*)/i.exec(answer.head)?.[1];
    if (id === undefined) throw new Error("the answer to initialize has no Mcp-Session-Id");
    const cookie = /\r\nset-cookie:[ \t]*([^;\r]*)/i.exec(answer.head)?.[1];
    const lines =
      `Mcp-Session-Id: ${id}\r\nMcp-Protocol-Version: ${protocolVersion}\r\n` +
      (cookie === undefined ? "" : `Cookie: ${cookie}\r\n`);
    const session = new LoadSession(url, name, lines, same);
    const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
    expect("initialized", same ? 200 : 202, await connection.exchange(withBody(session.#callHead, initialized)));
    return session;
  }

  /** The next call. Each has an id of its own in the session, and an `echo` a text of its own among all sessions. */
  next(tool: Tool): Call {
    if (this.#same !== undefined) return this.#same;
    this.#calls += 1;
    const id = this.#calls + 1;
    switch (tool) {
      case "echo":
        return this.#echo(id, `session ${this.#name} says ${this.#calls} in the words of the bench`);
      case "count":
        // Each call counts one: that of a call which failed is missing or not, and then the next answers look wrong too.
        this.#counts += 1;
        return { id, expected: { field: "value", value: this.#counts }, request: this.#call(id, "count", "{}") };
    }
  }

  /** Calls a tool, and gives its structured content. Rejects when it is not answered rightly. */
  async ask(connection: Connection, tool: string, args: object = {}): Promise<Readonly<Record<string, unknown>>> {
    this.#calls += 1;
    const id = this.#calls + 1;
    const answer = expect(tool, 200, await connection.exchange(this.#call(id, tool, JSON.stringify(args))));
    const message = messageOf(answer);
    const content = typeof message === "string" || message.id !== id ? undefined : message.result?.structuredContent;
    if (content === undefined) throw new Error(`${tool} was answered with ${answer.body.slice(0, 200)}`);
    return content;
  }

  /** Asks for the tools, as most clients do first. */
  async listTools(connection: Connection): Promise<void> {
    this.#calls += 1;
    const body = `{"jsonrpc":"2.0","id":${this.#calls + 1},"method":"tools/list","params":{}}`;
    expect("tools/list", 200, await connection.exchange(withBody(this.#callHead, body)));
  }

  /** What opens the session's own stream: the head of a GET. */
  get streamRequest(): string {
    return `${this.#head("GET")}\r\n`;
  }

  /** The same session, whose next requests go to another node. */
  at(url: URL): LoadSession {
    const moved = new LoadSession(url, this.#name, this.#sessionLines, false);
    moved.#calls = this.#calls;
    moved.#counts = this.#counts;
    return moved;
  }

  /** Ends the session, so that a target doesn't gather those of earlier runs. */
  async close(connection: Connection): Promise<void> {
    await connection.exchange(`${this.#head("DELETE")}\r\n`);
  }

  #echo(id: number, text: string): Call {
    return { id, expected: { field: "text", value: text }, request: this.#call(id, "echo", `{"text":"${text}"}`) };
  }

  #call(id: number, tool: string, args: string): string {
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`;
    return withBody(this.#callHead, body);
  }

  #head(method: string): string {
    return `${method} ${this.#path} HTTP/1.1\r\n${this.#hostLine}Accept: application/json, text/event-stream\r\n${this.#sessionLines}`;
  }
}

/** Bodies are ASCII, so that their length in bytes is the string's. */
function withBody(head: string, body: string): string {
  return `${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

function expect(what: string, status: number, exchange: Exchange): HttpAnswer {
  if (exchange.kind !== "answer") throw new Error(`${what} got no answer: ${JSON.stringify(exchange)}`);
  const { answer } = exchange;
  if (answer.status !== status) throw new Error(`${what} got ${answer.status}: ${answer.body.slice(0, 200)}`);
  return answer;
}
