import type { Readable } from "node:stream";
import { EventReader, type StreamItem } from "./event-reader.ts";

/** An event or a comment, and when it came: milliseconds after the request was sent. */
export type Arrived = StreamItem & { readonly atMs: number };

/** How a stream stands: open, ended by the server as it should be, or cut off. */
export type StreamEnd =
  | { readonly kind: "open" }
  | { readonly kind: "ended"; readonly atMs: number }
  | { readonly kind: "cut"; readonly atMs: number };

/** More than a visit's own streams bring; a server that sends without end is not listened to any longer. */
const mostItems = 5_000;

/** Reads an event stream, and notes when what came. */
export class EventWatch {
  readonly items: Arrived[] = [];
  end: StreamEnd = { kind: "open" };
  readonly #body: Readable;
  readonly #sentAt: number;
  readonly #waiting = new Set<() => void>();

  constructor(body: Readable, sentAt: number) {
    this.#body = body;
    this.#sentAt = sentAt;
    const reader = new EventReader();
    body.setEncoding("utf8");
    body.on("data", (text: string) => {
      for (const item of reader.push(text)) this.items.push({ ...item, atMs: this.#sinceSent() });
      if (this.items.length > mostItems) body.destroy();
      this.#wake();
    });
    body.on("end", () => this.#ended("ended"));
    // Without a listener an error would end the process; what it means is seen by "close".
    body.on("error", () => {});
    body.on("close", () => this.#ended("cut"));
  }

  /** Waits until a condition holds. Gives false when the stream ended before, or the time was over. */
  until(holds: () => boolean, withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(false), withinMs);
      const look = () => {
        if (holds()) settle(true);
        else if (this.end.kind !== "open") settle(false);
      };
      const settle = (held: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(held);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Hangs up. */
  close(): void {
    this.#body.destroy();
  }

  #ended(kind: "ended" | "cut"): void {
    if (this.end.kind !== "open") return;
    this.end = { kind, atMs: this.#sinceSent() };
    this.#wake();
  }

  #sinceSent(): number {
    return performance.now() - this.#sentAt;
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}
