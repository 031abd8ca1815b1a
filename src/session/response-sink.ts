/**
 * Where an answer is written: the part of Node's ServerResponse that a session uses, so that a web-standard response
 * can stand in its place.
 */
export interface ResponseSink {
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  write(chunk: string | Uint8Array): boolean;
  end(): unknown;
  end(chunk: string | Uint8Array): unknown;
  /** The text stands for bytes, one a character: as text, head and body leave in one write. */
  end(bytes: string, encoding: "latin1"): unknown;
  /** Breaks the connection off: the client must not take what it got for whole. */
  destroy(): unknown;
  /** Bytes accepted by `write` that have not left yet. */
  readonly writableLength: number;
  /** Whether the connection is gone. */
  readonly destroyed: boolean;
  /** Whether the whole answer has left: this process has nothing of it any more. */
  readonly writableFinished: boolean;
  /** The request that is answered, where it came over a socket. */
  readonly req?: { readonly socket: { readonly errored?: Error | null } };
  readonly headersSent: boolean;
  /** "close": the answer has ended or its connection is gone. "drain": there is room for more after `write` gave false. */
  once(event: "close" | "drain", listener: () => void): unknown;
}

/** The head of an SSE answer. `no-transform` and `X-Accel-Buffering` keep proxies from holding events back. */
export function sseHead(sessionId: string, length?: number): string[] {
  const head = [
    "Content-Type",
    "text/event-stream",
    "Cache-Control",
    "no-cache, no-transform",
    "X-Accel-Buffering",
    "no",
    "mcp-session-id",
    sessionId,
  ];
  if (length !== undefined) head.push("Content-Length", String(length));
  return head;
}

/** Writes a whole answer at once, head and body together: Traefik cuts answers off whose head leaves earlier. */
export function answer(sink: ResponseSink, status: number, head: readonly string[], body: string): void {
  sink.writeHead(status, [...head, "Content-Length", String(Buffer.byteLength(body))]);
  sink.end(body);
}

/** Writes a whole answer of server-sent events, likewise. */
export function answerEvents(sink: ResponseSink, sessionId: string, events: string): void {
  sink.writeHead(200, sseHead(sessionId, Buffer.byteLength(events)));
  sink.end(events);
}

/** Writes a whole JSON answer. */
export function answerJson(sink: ResponseSink, status: number, body: string, head: readonly string[] = []): void {
  answer(sink, status, ["Content-Type", "application/json", ...head], body);
}

/** Whether the whole answer has left. To be asked after its end. */
export function hasLeft(sink: ResponseSink): boolean {
  // Node 20 says of an answer that broke off on its way that it has finished; its socket knows better.
  return sink.writableFinished && !sink.req?.socket.errored;
}

/** Tells once whether the whole answer has left, when that is known. To be called after its end. */
export function whenLeft(sink: ResponseSink, tell: (whole: boolean) => void): void {
  if (sink.writableFinished || sink.destroyed) tell(hasLeft(sink));
  else sink.once("close", () => tell(hasLeft(sink)));
}
