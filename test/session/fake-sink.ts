import { EventEmitter } from "node:events";
import type { ResponseSink } from "../../src/session/response-sink.ts";

/** An answer that is written nowhere: for tests of what is written when, without a network. Strict, as Node's is. */
export class FakeSink extends EventEmitter implements ResponseSink {
  status = 0;
  readonly headers = new Map<string, string>();
  readonly writes: string[] = [];
  headersSent = false;
  ended = false;
  destroyed = false;
  writableLength = 0;
  /** A client that reads nothing leaves it at false, until {@link finish}. */
  writableFinished = false;
  reads = true;

  get text(): string {
    return this.writes.join("");
  }

  writeHead(status: number, headers: readonly string[]): void {
    if (this.headersSent) throw new Error("Cannot write headers after they are sent to the client");
    this.status = status;
    this.headersSent = true;
    for (let index = 0; index < headers.length; index += 2) {
      this.headers.set((headers[index] as string).toLowerCase(), headers[index + 1] as string);
    }
  }

  flushHeaders(): void {}

  write(chunk: string | Uint8Array): boolean {
    if (this.ended) throw new Error("write after end");
    this.writes.push(String(chunk));
    return true;
  }

  end(chunk: string | Uint8Array = ""): void {
    if (chunk.length > 0) this.write(chunk);
    this.ended = true;
    if (this.reads && !this.destroyed) this.finish();
  }

  /** All that was written has left. */
  finish(): void {
    this.writableFinished = true;
    this.emit("close");
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}
