import type { IncomingHttpHeaders } from "node:http";
import type { MessageExtra } from "./transport-types.ts";

/** The HTTP request that brought a message, as far as a server may ask for it. */
export interface Origin {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** Makes a web-standard request of a Node request's head. The body is not in it: the transport has read it. */
function webRequest({ method, url, headers }: Origin): Request {
  const copied = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    // HTTP/2's pseudo-headers are no header names for Headers, which throws on them.
    if (value === undefined || name.startsWith(":")) continue;
    for (const item of Array.isArray(value) ? value : [value]) copied.append(name, item);
  }
  return new Request(new URL(url, `http://${headers.host ?? "localhost"}`), { method, headers: copied });
}

/**
 * A request that is made when something of it is first read. SDK v2 hands the request to every tool, few tools look at
 * it, and making one takes longer than the rest of the transport's work.
 */
function requestOnDemand(origin: Origin): Request {
  let made: Request | undefined;
  return new Proxy(Object.create(Request.prototype) as Request, {
    get(_target, property) {
      made ??= webRequest(origin);
      const value: unknown = Reflect.get(made, property, made);
      return typeof value === "function" ? value.bind(made) : value;
    },
  });
}

/** Ways for the server to end connections early; the client comes back with Last-Event-ID (SEP-1699, polling). */
export type StreamClosers = Pick<MessageExtra, "closeSSEStream" | "closeStandaloneSSEStream">;

/** What the server learns of a message besides its content: `request` for v2, `requestInfo` for v1. */
export function messageExtra(origin: Origin, closers?: StreamClosers): MessageExtra {
  return {
    request: requestOnDemand(origin),
    requestInfo: { headers: origin.headers },
    ...closers,
  };
}
