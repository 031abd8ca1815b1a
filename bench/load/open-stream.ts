import { connect, type Socket } from "node:net";
import type { LoadSession } from "./session.ts";

const headDeadlineMs = 20_000;
/** More than any line that is waited for. */
const longestLine = 1_048_576;

/** A session's own stream, opened with GET. What comes on it is counted, not kept. */
export class OpenStream {
  readonly #socket: Socket;
  #rest = "";
  #onEvent: (() => void) | undefined;
  /** Comments, which keep the stream alive. */
  keepAlives = 0;
  /** Events with data. */
  events = 0;
  /** Why it ended. */
  ended: string | undefined;

  /** Opens the stream; resolves when the head of the answer is there. */
  static open(url: URL, session: LoadSession): Promise<OpenStream> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
      let head = "";
      const fail = (why: string): void => {
        socket.destroy();
        reject(new Error(`the stream did not open: ${why}`));
      };
      socket.setTimeout(headDeadlineMs, () => fail(`no answer within ${headDeadlineMs} ms`));
      const onError = (error: Error): void => fail(error.message);
      const onEnd = (): void => fail("the connection ended");
      socket.on("error", onError);
      socket.on("end", onEnd);
      const onData = (chunk: Buffer): void => {
        head += chunk.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!/^HTTP\/1\.1 200 .*\r\ncontent-type:[ \t]*text\/event-stream/is.test(head.slice(0, end))) {
          fail(head.slice(0, 200));
          return;
        }
        socket.off("error", onError).off("end", onEnd).off("data", onData).setTimeout(0);
        const stream = new OpenStream(socket);
        stream.#take(head.slice(end + 4));
        resolve(stream);
      };
      socket.on("data", onData);
      socket.write(session.streamRequest, "latin1");
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const end = (why: string) => {
      this.ended ??= why;
      this.#onEvent?.();
    };
    socket.on("data", (chunk: Buffer) => this.#take(chunk.toString("latin1")));
    socket.on("error", (error) => end(error.message));
    socket.on("end", () => end("the connection ended"));
    socket.on("close", () => end("the connection closed"));
  }

  /** Waits until so many events with data have come; rejects when the stream ends before, or the deadline passes. */
  async arrived(events: number, deadlineMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    try {
      while (this.events < events) {
        if (this.ended !== undefined) throw new Error(`a stream ended after ${this.events} events: ${this.ended}`);
        if (isLate) throw new Error(`only ${this.events} of ${events} events came within ${deadlineMs} ms`);
        await new Promise<void>((resolve) => {
          this.#onEvent = resolve;
          timer ??= setTimeout(() => {
            isLate = true;
            this.#onEvent?.();
          }, deadlineMs);
        });
      }
    } finally {
      clearTimeout(timer);
      this.#onEvent = undefined;
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Lines are looked at as they come: the sizes of chunks between them look like neither a comment nor data. */
  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, longestLine);
    const before = this.events;
    for (const line of lines) {
      if (line.startsWith(":")) this.keepAlives += 1;
      else if (/^data:[ \t]*\S/.test(line)) this.events += 1;
    }
    if (this.events > before) this.#onEvent?.();
  }
}
