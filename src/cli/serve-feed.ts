import { createServer } from "node:http";
import { type Address, isLoopback, urlOf } from "../admin/address.ts";
import { listen } from "../admin/listen.ts";
import type { EdgeFeed } from "../edge/feed.ts";
import { checkHost } from "../node/access.ts";

const feedPath = "/edge/traefik";

/** The listener of `mooring edge --listen`. */
export interface FeedListener {
  /** What Traefik's http provider gets as its endpoint. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves a feed, and nothing else but a sign of life. */
export async function serveFeed(feed: EdgeFeed, address: Address, allowHost: readonly string[]): Promise<FeedListener> {
  const rules = { loopback: isLoopback(address.host), allowHost };
  const server = createServer(async (request, response) => {
    const respond = (status: number, contentType: string, body: string) => {
      response.writeHead(status, { "Content-Type": contentType, "Content-Length": Buffer.byteLength(body) });
      response.end(body);
    };
    const text = "text/plain; charset=utf-8";
    const { pathname } = new URL(request.url ?? "/", "http://edge");
    const access = checkHost(request.headers, rules);
    if (access.kind === "refused") return respond(403, text, `${access.message}\n`);
    if (request.method !== "GET" && request.method !== "HEAD") return respond(405, text, "Use GET.\n");
    if (pathname === "/livez") return respond(200, text, "alive\n");
    if (pathname !== feedPath) return respond(404, text, `There is: ${feedPath}, /livez.\n`);
    const { status, contentType, body } = await feed.answer();
    respond(status, contentType, body);
  });
  const url = new URL(feedPath, urlOf(await listen(server, address, "--listen"))).href;
  return {
    url,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
