import { connect, type Socket } from "node:net";
import { type HttpAnswer, readAnswer } from "./http-answer.ts";

/** What came of one request. */
export type Exchange =
  | { readonly kind: "answer"; readonly answer: HttpAnswer }
  /** The answer began with this status, and then the connection ended, or its framing broke. */
  | { readonly kind: "cut"; readonly status: number | undefined; readonly why: string }
  | { readonly kind: "unanswered"; readonly why: string }
  | { readonly kind: "late" };

const silenceDeadlineMs = 10_000;

/** One keep-alive connection with one request on it at a time. It connects when first used, and again after a failure. */
export class Connection {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer | undefined;
  #settle: ((exchange: Exchange) => void) | undefined;

  /** To the host and port of an endpoint. */
  constructor({ hostname, port }: URL) {
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** Sends a whole request, in Latin-1, and gives what comes of it. Never rejects. */
  exchange(request: string): Promise<Exchange> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#received = undefined;
      this.#socket ??= this.#connect();
      this.#socket.write(request, "latin1");
    });
  }

  close(): void {
    this.#fail({ kind: "unanswered", why: "closed by the load" });
  }

  #connect(): Socket {
    const socket = connect({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      // One buffer for all reads: Node would otherwise make one of 64 KiB for each.
      onread: {
        buffer: Buffer.allocUnsafeSlow(65_536),
        callback: (length, buffer) => {
          if (this.#socket === socket) this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      },
    });
    socket.setTimeout(silenceDeadlineMs);
    // A socket that was given up may still say how it ended: only the current one counts.
    const current = (act: () => void) => () => {
      if (this.#socket === socket) act();
    };
    socket.on(
      "timeout",
      current(() => this.#fail({ kind: "late" })),
    );
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#socket === socket) this.#end(error.code ?? error.message);
    });
    socket.on(
      "end",
      current(() => this.#end("the connection ended")),
    );
    socket.on(
      "close",
      current(() => this.#end("the connection closed")),
    );
    return socket;
  }

  #take(chunk: Buffer): void {
    const bytes = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
    if (this.#settle === undefined) {
      this.#fail({ kind: "late" });
      return;
    }
    const reading = readAnswer(bytes);
    switch (reading.kind) {
      case "whole": {
        this.#received = undefined;
        const settle = this.#settle;
        this.#settle = undefined;
        settle({ kind: "answer", answer: reading.answer });
        return;
      }
      case "part":
        this.#received = Buffer.from(bytes);
        return;
      case "malformed":
        this.#fail({ kind: "cut", status: undefined, why: reading.why });
    }
  }

  #end(why: string): void {
    const bytes = this.#received;
    if (bytes === undefined) {
      this.#fail({ kind: "unanswered", why });
      return;
    }
    const reading = readAnswer(bytes);
    const status = reading.kind === "part" ? reading.status : undefined;
    this.#fail({ kind: "cut", status, why: `${why} after ${bytes.length} bytes: ${tail(bytes)}` });
  }

  #fail(exchange: Exchange): void {
    const socket = this.#socket;
    const settle = this.#settle;
    this.#socket = undefined;
    this.#settle = undefined;
    this.#received = undefined;
    socket?.destroy();
    settle?.(exchange);
  }
}

function tail(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(-80).toString("latin1"));
}
