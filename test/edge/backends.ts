import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { EdgeNode } from "../../src/edge/view.ts";
import { tagOf } from "../../src/model/tag.ts";

/** What a backend says of a request that reached it. */
export interface Seen {
  readonly node: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A plain HTTP server in a node's place. */
export interface Backend {
  readonly name: string;
  /** As the cluster's view tells it, up. */
  readonly node: EdgeNode;
  /** Every request but those for `/livez`. */
  readonly seen: readonly Seen[];
  /** Closes it at once, so that its port refuses connections. */
  stop(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, seen: Seen) => void;

const answerWithWhatWasSeen: Answer = (_request, response, seen) => {
  response.setHeader("content-type", "application/json").end(JSON.stringify(seen));
};

export async function startBackend(name: string, answer: Answer = answerWithWhatWasSeen): Promise<Backend> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/livez") {
      response.end("ok");
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one: Seen = {
        node: name,
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers as Record<string, string>,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(one);
      answer(request, response, one);
    });
  });
  server.keepAliveTimeout = 75_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    name,
    node: { name, tag: tagOf(name), url, state: "up" },
    seen,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export async function startBackends(...names: string[]): Promise<Backend[]> {
  return await Promise.all(names.map((name) => startBackend(name)));
}
