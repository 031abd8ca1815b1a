/** Server-sent events as Mooring writes them. */

/** One JSON-RPC message as an event; with an id where the client may ask for what follows it. */
export function messageEvent(json: string, id?: string): string {
  return id === undefined ? `event: message\ndata: ${json}\n\n` : `event: message\nid: ${id}\ndata: ${json}\n\n`;
}

/**
 * An event without data that gives the client an id before there is any message, so that it can ask again after a
 * lost connection (2025-11-25, Streamable HTTP, Sending Messages, point 6). Older clients can't parse empty data.
 */
export function primingEvent(id: string, retryMs: number): string {
  return `id: ${id}\nretry: ${retryMs}\ndata: \n\n`;
}

/** Tells a client how long to wait before it asks again. No event, so that also older clients can take it. */
export function retryAfter(ms: number): string {
  return `retry: ${ms}\n\n`;
}

/** A comment, which clients skip: keeps proxies from closing a silent stream. */
export const keepAliveComment = ": keepalive\n\n";

/** The place of an event in a session: the stream that it was sent on, and its number in that stream, from 1. */
export interface EventPlace {
  readonly stream: string;
  readonly sequence: number;
}

/** The standalone stream of a session (GET); the streams of calls have names that begin with "c". */
export const standaloneStream = "s";

/**
 * The name of a session's nth call stream. Each owner counts anew, so the names of later epochs carry theirs: no name
 * comes twice in a session's life.
 */
export function callStreamName(number: number, epoch: number): string {
  const name = `c${number.toString(36)}`;
  return epoch === 1 ? name : `${name}_${epoch.toString(36)}`;
}

/** Event ids are unique in a session across its streams (2025-11-25, Streamable HTTP, Resumability). */
export function eventId(stream: string, sequence: number): string {
  return `${stream}-${sequence}`;
}

/** The place that an id names, or undefined for an id that no node gave out. */
export function parseEventId(id: string): EventPlace | undefined {
  const match = /^(s|c[0-9a-z]{1,16}(?:_[0-9a-z]{1,11})?)-(\d{1,15})$/.exec(id);
  return match === null ? undefined : { stream: match[1] as string, sequence: Number(match[2]) };
}
