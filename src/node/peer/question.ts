import { maxDataBytes } from "./frame.ts";

/** A small question of one node to another: its kind, and whatever else the kind needs. JSON, at most 16 KiB. */
export type Question = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** What the other node said. */
export type Answer = Readonly<Record<string, unknown>>;

/** Answers one kind of question. It may be asked the same twice: when a connection breaks, a question is asked again. */
export type QuestionHandler = (question: Question, from: { readonly tag: string }) => Answer | Promise<Answer>;

/** Gives the question or answer as it goes to the other node. @throws RangeError when it is too large */
export function writeSaid(said: Question | Answer): string {
  const text = JSON.stringify(said);
  if (Buffer.byteLength(text) > maxDataBytes)
    throw new RangeError("Questions to other nodes, and answers, are at most 16 KiB");
  return text;
}

/** Undefined: the other node has no answer to give, for it does not know the kind, say, or failed. */
export function parseAnswer(payload: Buffer): Answer | undefined {
  const value = parse(payload);
  return isObject(value) ? value : undefined;
}

export function parseQuestion(payload: Buffer): Question | undefined {
  const value = parse(payload);
  return isObject(value) && typeof value.kind === "string" ? (value as Question) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parse(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return undefined;
  }
}
