import { randomBytes, randomUUID } from "node:crypto";
import { parseSessionId, randomBytesPerId } from "../../model/session-id.ts";
import type { Endpoint } from "../endpoint.ts";
import type { ForgedFacts, OriginFacts, UnknownSession } from "../judge/requests.ts";
import { readAnswer } from "../read-answer.ts";
import type { Seen } from "../seen.ts";
import type { Session } from "../session.ts";
import { insisted } from "./yardstick.ts";

/** A host that belongs to nobody (RFC 2606). */
const stranger = "stranger.example";

const largeBytes = 64 * 1024;
const shortMs = 4_000;

/** An id like the session's, which no server gave out. */
export function inventedId(like: string): string {
  const parts = parseSessionId(like);
  return parts === undefined ? randomUUID() : `${parts.tag}.${randomBytes(randomBytesPerId).toString("base64url")}`;
}

export async function tryUnknownSession(session: Session, invented: string): Promise<UnknownSession> {
  const headers = { "mcp-session-id": invented };
  const post = await session.ask("ping", {}, { headers });
  const opened = await session.listen(headers);
  const get = opened.kind === "failure" ? opened : await readAnswer(opened, undefined, shortMs);
  return { post, get };
}

/** A POST that is larger than the buffers of most proxies. */
export function tryLargeBody(session: Session): Promise<Seen> {
  const params = { _meta: { "mooring/padding": "x".repeat(largeBytes) } };
  return insisted(() => session.ask("ping", params));
}

export function tryTwoSessionIds(session: Session, id: string, invented: string): Promise<Seen> {
  return session.ask("ping", {}, { headers: { "mcp-session-id": [id, invented] } });
}

export async function tryOrigin(session: Session, url: URL, local: boolean): Promise<OriginFacts> {
  const send = (headers: Record<string, string>) => insisted(() => session.ask("ping", {}, { headers }));
  const origin = await send({ origin: `${url.protocol}//${stranger}` });
  // A browser that was led astray by DNS sends both. Elsewhere than here a strange Host is another site's.
  const host = local ? await send({ host: url.port === "" ? stranger : `${stranger}:${url.port}` }) : undefined;
  return { origin, host, local };
}

/** A request with the headers that nodes and the edge use among themselves. */
export async function tryForgedHeaders(session: Session, endpoint: Endpoint): Promise<ForgedFacts> {
  const headers = {
    "mooring-peer": "forged.forged.forged",
    "mooring-answer": "not-here",
    "mooring-failover": "1",
    "mooring-relayed": "1",
  };
  const plain = await insisted(() => session.ask("ping"));
  const forged = await insisted(() => session.ask("ping", {}, { headers }));
  const names = new Set(endpoint.heads.flatMap((head) => Object.keys(head.headers)));
  return { plain, forged, leaked: [...names].filter((name) => name.startsWith("mooring-")) };
}

/** The same address on plain HTTP, where both have their usual ports; undefined elsewhere. */
export async function tryPlainHttp(endpoint: Endpoint): Promise<Seen | undefined> {
  const { url, target } = endpoint;
  // What the person gave must not travel in the clear.
  if (url.protocol !== "https:" || url.port !== "" || target.headers.length > 0) return undefined;
  const plain = new URL(url);
  plain.protocol = "http:";
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "ping" });
  const opened = await endpoint.open({ method: "POST", url: plain, headers, body, headWithinMs: shortMs });
  return opened.kind === "failure" ? opened : await readAnswer(opened, 0, shortMs);
}
