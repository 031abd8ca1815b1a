import type { HttpAnswer } from "./http-answer.ts";
import type { Failure } from "./plan.ts";
import type { Call } from "./session.ts";

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly failure: Failure; readonly why: string };

const right: Verdict = { ok: true };

/** Checks a whole HTTP answer to a call: status, content type, a body that parses, its id, and what it has to say. */
export function judge(answer: HttpAnswer, { id, expected: { field, value } }: Call): Verdict {
  if (answer.status !== 200) return failed("refused", `status ${answer.status}: ${answer.body.slice(0, 200)}`);
  const message = messageOf(answer);
  if (typeof message === "string") return failed("cut", message);
  const { result } = message;
  if (message.id !== id) return failed("wrong", `the answer to ${id} has the id ${JSON.stringify(message.id)}`);
  const got = result?.structuredContent?.[field];
  if (got !== value || result?.isError === true) {
    return failed("wrong", `the answer to ${id} is not ${JSON.stringify(value)}: ${answer.body.slice(0, 200)}`);
  }
  return right;
}

function failed(failure: Failure, why: string): Verdict {
  return { ok: false, failure, why };
}

interface Message {
  readonly id?: unknown;
  readonly result?: { readonly isError?: unknown; readonly structuredContent?: Readonly<Record<string, unknown>> };
}

const contentType = /\r\ncontent-type:[ \t]*([^\r]*)/i;

/** Any other line of an event, and the empty data of a priming event, is passed over. */
const dataLines = /^data:[ \t]*(\S.*)$/gm;

/** The JSON-RPC message in an answer, or what hinders reading it. */
export function messageOf({ head, body }: HttpAnswer): Message | string {
  const type = contentType.exec(head)?.[1] ?? "";
  if (type.startsWith("application/json")) return parse(body);
  if (!type.startsWith("text/event-stream")) return `the content type is "${type}"`;
  if (!body.endsWith("\n\n")) return `the last event has no end: ${JSON.stringify(body.slice(-80))}`;
  const lines = [...body.matchAll(dataLines)];
  const json = lines[0]?.[1];
  return lines.length === 1 && json !== undefined ? parse(json) : `${lines.length} messages in one answer`;
}

function parse(json: string): Message | string {
  try {
    return JSON.parse(json) as Message;
  } catch {
    return `not JSON: ${JSON.stringify(json.slice(-80))}`;
  }
}
