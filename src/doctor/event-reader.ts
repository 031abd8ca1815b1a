/** What stands in an event stream: an event, or a comment, which clients skip. */
export type StreamItem =
  | {
      readonly kind: "event";
      readonly event: string;
      readonly data: string;
      readonly id: string | undefined;
      readonly retryMs: number | undefined;
    }
  | { readonly kind: "comment" };

/** Reads server-sent events as they come, in pieces of any size (WHATWG HTML, 9.2.6). */
export class EventReader {
  #rest = "";
  #event = "";
  #id: string | undefined;
  #retryMs: number | undefined;
  #data: string[] = [];
  #any = false;

  /** Takes a piece of the stream, and gives what it completes. */
  push(text: string): StreamItem[] {
    this.#rest += text;
    const items: StreamItem[] = [];
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest);
      if (end === null) return items;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const item = this.#take(line);
      if (item !== undefined) items.push(item);
    }
  }

  #take(line: string): StreamItem | undefined {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return { kind: "comment" };
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    this.#any = true;
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id") this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#retryMs = Number(value);
    return undefined;
  }

  #dispatch(): StreamItem | undefined {
    if (!this.#any) return undefined;
    const item: StreamItem = {
      kind: "event",
      event: this.#event || "message",
      data: this.#data.join("\n"),
      id: this.#id,
      retryMs: this.#retryMs,
    };
    this.#event = "";
    this.#id = undefined;
    this.#retryMs = undefined;
    this.#data = [];
    this.#any = false;
    return item;
  }
}
