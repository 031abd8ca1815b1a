import { randomBytes } from "node:crypto";
import { type Dispatcher, request } from "undici";
import { mintSessionId, randomBytesPerId } from "../../src/model/session-id.ts";
import type { Seen } from "./backends.ts";

/** The id of a session that a node of this tag has opened. */
export function sessionOf(tag: string): string {
  return mintSessionId(tag, randomBytes(randomBytesPerId));
}

export interface Reply {
  readonly status: number;
  /** Each line of Set-Cookie. */
  readonly cookies: readonly string[];
  /** What the node saw, where a node answered. */
  readonly seen: Seen;
  readonly text: string;
}

export interface Asking {
  readonly session?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly dispatcher?: Dispatcher;
}

/** One request, as a client without cookies sends it. */
export async function ask(url: string, { session, headers = {}, body, dispatcher }: Asking = {}): Promise<Reply> {
  const answer = await request(url, {
    method: body === undefined ? "GET" : "POST",
    headers: { ...headers, ...(session === undefined ? {} : { "mcp-session-id": session }) },
    body: body ?? null,
    ...(dispatcher === undefined ? {} : { dispatcher }),
  });
  const lines = answer.headers["set-cookie"] ?? [];
  const text = await answer.body.text();
  return {
    status: answer.statusCode,
    cookies: Array.isArray(lines) ? lines : [lines],
    seen: text.startsWith("{") ? (JSON.parse(text) as Seen) : ({} as Seen),
    text,
  };
}
