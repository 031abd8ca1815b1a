import type { Connection, Exchange } from "./connection.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { messageOf } from "./mcp-answer.ts";

const protocolVersion = "2025-11-25";

/** A call as it goes on the wire, and what its answer has to carry. */
export interface Call {
  readonly id: number;
  readonly text: string;
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

  private constructor(url: URL, name: number, sessionLines: string, same: boolean) {
    this.#path = url.pathname;
    this.#hostLine = `Host: ${url.host}\r\n`;
    this.#sessionLines = sessionLines;
    this.#name = name;
    this.#callHead = this.#head("POST");
    this.#same = same ? this.#call(1, "the same text in each call") : undefined;
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

  /** The next call. Each has an id of its own in the session, and a text of its own among all sessions. */
  next(): Call {
    if (this.#same !== undefined) return this.#same;
    this.#calls += 1;
    return this.#call(this.#calls + 1, `session ${this.#name} says ${this.#calls} in the words of the bench`);
  }

  /** Ends the session, so that a target doesn't gather those of earlier runs. */
  async close(connection: Connection): Promise<void> {
    await connection.exchange(`${this.#head("DELETE")}\r\n`);
  }

  #call(id: number, text: string): Call {
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":{"text":"${text}"}}}`;
    return { id, text, request: withBody(this.#callHead, body) };
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
