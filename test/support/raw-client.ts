import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from "node:http";
import { eventually } from "./eventually.ts";

/** One server-sent event, taken apart. */
export interface RawEvent {
  readonly id: string | undefined;
  readonly retry: string | undefined;
  readonly data: string | undefined;
}

/** A JSON-RPC message as a server sent it. */
export interface RawMessage {
  readonly jsonrpc?: string;
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** An answer whose head has arrived; its body grows as it comes in. */
export class RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  text = "";
  /** How the body ended: whole, or cut off. */
  end: "open" | "whole" | "cut" = "open";
  readonly #message: IncomingMessage;

  constructor(message: IncomingMessage) {
    this.status = message.statusCode as number;
    this.headers = message.headers;
    this.#message = message;
    message.setEncoding("utf8");
    message.on("data", (chunk: string) => {
      this.text += chunk;
    });
    message.once("end", () => {
      this.end = "whole";
    });
    message.once("error", () => {
      this.end = "cut";
    });
    message.once("close", () => {
      if (this.end === "open") this.end = "cut";
    });
  }

  /** Complete events so far; comments are left out. */
  get events(): RawEvent[] {
    const blocks = this.text.split("\n\n").slice(0, -1);
    return blocks.filter((block) => !block.startsWith(":")).map(parseEvent);
  }

  /** The JSON-RPC messages so far: of the events, or of a JSON body. */
  get messages(): RawMessage[] {
    if (this.headers["content-type"] === "application/json") return [JSON.parse(this.text) as RawMessage].flat();
    return this.events.flatMap(({ data }) => (data ? [JSON.parse(data) as RawMessage] : []));
  }

  /** The first message; for answers that hold one. */
  get message(): RawMessage | undefined {
    return this.messages[0];
  }

  /** The id of the newest event. */
  get lastEventId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  /** Waits until so many messages have come. */
  async received(count: number): Promise<RawMessage[]> {
    return await eventually(() => {
      const { messages } = this;
      if (messages.length < count)
        throw new Error(`${messages.length} of ${count} messages: ${this.text.slice(0, 500)}`);
      return messages;
    });
  }

  /** Waits until the body has ended, either way. */
  async ended(): Promise<this> {
    return await eventually(() => {
      if (this.end === "open") throw new Error(`The answer is still open after: ${this.text.slice(0, 500)}`);
      return this;
    });
  }

  /** Stops reading: what the server writes from now on piles up. */
  pause(): void {
    this.#message.pause();
  }

  resume(): void {
    this.#message.resume();
  }

  /** Cuts the connection without a word. */
  cut(): void {
    this.#message.destroy();
  }
}

function parseEvent(block: string): RawEvent {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  return { id: fields.get("id"), retry: fields.get("retry"), data: fields.get("data") };
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[] | undefined>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

/** Sends one request on a connection of its own; resolves when the head of its answer is there. */
export function send(url: string, { method = "GET", path = "/mcp", ...rest }: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(Object.entries(rest.headers ?? {}).filter(([, value]) => value !== undefined));
    const { signal } = rest;
    const request = requestHttp(url, { path, method, headers, agent: false, ...(signal && { signal }) });
    request.once("response", (message) => resolve(new RawAnswer(message)));
    request.once("error", reject);
    request.end(rest.body);
  });
}

export const acceptBoth = "application/json, text/event-stream";

export const initializeBody = (protocolVersion = "2025-11-25", capabilities: object = {}) => ({
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion, capabilities, clientInfo: { name: "raw", version: "1" } },
});

export interface RawClientOptions {
  readonly version?: string;
  readonly capabilities?: object;
  /** Sent with every request. */
  readonly headers?: Record<string, string>;
}

/** An MCP client that does only what it is told: no retries, no cookies, each request on a connection of its own. */
export class RawClient {
  readonly url: string;
  readonly session: string;
  readonly version: string;
  readonly #headers: Record<string, string>;
  #nextId = 1;

  private constructor(url: string, session: string, { version, headers }: RawClientOptions) {
    this.url = url;
    this.session = session;
    this.version = version ?? "2025-11-25";
    this.#headers = headers ?? {};
  }

  /** Begins a session, and says that it is initialized. */
  static async begin(url: string, options: RawClientOptions = {}): Promise<RawClient> {
    const answer = await send(url, {
      method: "POST",
      headers: { accept: acceptBoth, "content-type": "application/json", ...options.headers },
      body: JSON.stringify(initializeBody(options.version, options.capabilities)),
    });
    await answer.ended();
    if (answer.status !== 200) throw new Error(`initialize was answered with ${answer.status}: ${answer.text}`);
    const client = new RawClient(url, answer.headers["mcp-session-id"] as string, options);
    await client.post({ jsonrpc: "2.0", method: "notifications/initialized" });
    return client;
  }

  /** The same client and session, sent to another node. */
  at(url: string): RawClient {
    return new RawClient(url, this.session, { version: this.version, headers: this.#headers });
  }

  /** Posts one message or a batch; resolves when the head of the answer is there. */
  async post(body: unknown, headers: Record<string, string> = {}): Promise<RawAnswer> {
    return await send(this.url, {
      method: "POST",
      headers: { ...this.#common(), accept: acceptBoth, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  }

  /** Calls a tool, and gives the answer when its head is there. */
  async startCall(name: string, args: object = {}, id: string | number = this.#nextId++): Promise<RawAnswer> {
    return await this.post({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name, arguments: args, _meta: { progressToken: id } },
    });
  }

  /** Calls a tool, and gives its response. */
  async call(name: string, args: object = {}, id?: string | number): Promise<RawMessage | undefined> {
    const answer = await (await this.startCall(name, args, id)).ended();
    return answer.messages.at(-1);
  }

  /** Opens the standalone stream, or resumes one. */
  async listen(lastEventId?: string): Promise<RawAnswer> {
    return await send(this.url, {
      headers: { ...this.#common(), accept: "text/event-stream", "last-event-id": lastEventId },
    });
  }

  async delete(): Promise<RawAnswer> {
    return await (await send(this.url, { method: "DELETE", headers: this.#common() })).ended();
  }

  #common(): Record<string, string> {
    return { "mcp-session-id": this.session, "mcp-protocol-version": this.version, ...this.#headers };
  }
}
