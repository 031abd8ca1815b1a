import type { Failure } from "./failure.ts";
import type { Message } from "./message.ts";

/** What came back for one request, as plain data: what judges judge. */
export type Seen = SeenAnswer | SeenFailure;

export interface SeenAnswer {
  readonly kind: "answer";
  readonly status: number;
  /** By their names in lower case; repeated ones joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  /** The beginning of the body. */
  readonly text: string;
  /** The JSON-RPC message in it: the response to the request, if there is one. */
  readonly message: Message | undefined;
  /** False for an answer that broke off, or had no end in time. */
  readonly whole: boolean;
  /** From the request to the head of the answer, in milliseconds. */
  readonly headMs: number;
}

export interface SeenFailure {
  readonly kind: "failure";
  readonly failure: Failure;
}

/** Whether a request got its response: a result or an error of the server itself. */
export function isAnswered(seen: Seen): boolean {
  return seen.kind === "answer" && seen.status === 200 && seen.message !== undefined;
}

/** Whether an answer can come from a node that doesn't have the session. */
export function isMiss(seen: Seen): boolean {
  return seen.kind === "answer" && (seen.status === 404 || seen.status === 400 || seen.status === 421);
}

/** The media type of an answer, without parameters. */
export function mediaType({ headers }: { readonly headers: Readonly<Record<string, string>> }): string {
  return (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/** Says in a few words what came back. */
export function describe(seen: Seen): string {
  if (seen.kind === "failure") return seen.failure.message;
  if (isAnswered(seen) && seen.message?.error === undefined) return "answered";
  const { error } = seen.message ?? {};
  if (error !== undefined) return `${seen.status} (${error.code}: ${shortened(error.message)})`;
  if (seen.status === 200 && !seen.whole) return "an answer that broke off";
  const type = mediaType(seen);
  const text = shortened(seen.text.replace(/<[^>]*>/g, " "));
  const body = text === "" ? "without a body" : `${type || "no Content-Type"}: ${text}`;
  return `${seen.status} (${body})`;
}

/** Says of many what came back, each kind once with its number. */
export function describeAll(seen: readonly Seen[]): string {
  const counts = new Map<string, number>();
  for (const one of seen) {
    const words = describe(one);
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return [...counts].map(([words, count]) => `${count} × ${words}`).join(", ");
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
