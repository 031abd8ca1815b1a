import type { Readable } from "node:stream";
import type { Opened } from "./endpoint.ts";
import { type Arrived, EventWatch } from "./event-watch.ts";
import { isResponseTo, type Message, parseMessage } from "./message.ts";
import { mediaType, type SeenAnswer } from "./seen.ts";

/** Of a body that is no event stream; a tool list of that size helps no client either. */
const mostBytes = 4 * 1024 * 1024;

/** What is kept of a body to be shown. */
const shownCharacters = 2_000;

/** An answer, and for an event stream when its events came. */
export interface ReadAnswer extends SeenAnswer {
  readonly items: readonly Arrived[];
}

/** Reads the answer to a request: to its end, or to the response in an event stream. */
export async function readAnswer(opened: Opened, id: number | undefined, withinMs: number): Promise<ReadAnswer> {
  const { status, headers, setCookies, headMs } = opened;
  const head = { kind: "answer", status, headers, setCookies, headMs } as const;
  if (mediaType(opened) === "text/event-stream") {
    const watch = new EventWatch(opened.body, opened.sentAt);
    let message: Message | undefined;
    const found = await watch.until(() => {
      message = id === undefined ? undefined : responseIn(watch.items, id);
      return message !== undefined;
    }, withinMs);
    watch.close();
    return { ...head, text: "", message, whole: found, items: watch.items };
  }
  const { text, whole } = await readText(opened.body, withinMs);
  if (status >= 400) opened.head.errorText = text.slice(0, shownCharacters);
  const message = parseMessage(text);
  const isOurs = status !== 200 || id === undefined || isResponseTo(message, id);
  return { ...head, text: text.slice(0, shownCharacters), message: isOurs ? message : undefined, whole, items: [] };
}

function responseIn(items: readonly Arrived[], id: number): Message | undefined {
  for (const item of items) {
    const message = item.kind === "event" ? parseMessage(item.data) : undefined;
    if (isResponseTo(message, id)) return message;
  }
  return undefined;
}

function readText(body: Readable, withinMs: number): Promise<{ text: string; whole: boolean }> {
  return new Promise((resolve) => {
    let text = "";
    const timer = setTimeout(() => settle(false), withinMs);
    const settle = (whole: boolean) => {
      clearTimeout(timer);
      resolve({ text, whole });
      body.destroy();
    };
    body.setEncoding("utf8");
    body.on("data", (piece: string) => {
      text += piece;
      if (text.length > mostBytes) settle(false);
    });
    body.on("end", () => settle(true));
    body.on("error", () => settle(false));
    body.on("close", () => settle(false));
  });
}
