import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { constants, createGzip } from "node:zlib";

/** Something that listens on loopback. */
export interface Listening {
  /** Without a path. */
  readonly origin: string;
  readonly mcp: string;
  readonly port: number;
  readonly handle: RequestListener;
  stop(): Promise<void>;
}

export async function listenWith(handle: RequestListener): Promise<Listening> {
  const server = createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    mcp: `${origin}/mcp`,
    port,
    handle,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** How a proxy hands an answer on. */
type HandOn = (answer: IncomingMessage, response: ServerResponse, asked: IncomingMessage) => void;

/** A proxy that gives each request to the next of its targets, as a balancer does that knows nothing of sessions. */
export async function startProxy(targets: readonly string[], handOn: HandOn = asItComes): Promise<Listening> {
  let next = 0;
  return await listenWith((asked, response) => {
    const target = new URL(targets[next % targets.length] as string);
    next += 1;
    const { hostname, port } = target;
    const { url: path, method, headers } = asked;
    const onward = request({ hostname, port, path, method, headers, agent: false });
    onward.on("response", (answer) => {
      answer.on("error", () => response.destroy());
      handOn(answer, response, asked);
    });
    onward.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end("Bad Gateway")));
    response.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
}

const asItComes: HandOn = (answer, response) => {
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  response.flushHeaders();
  answer.pipe(response);
};

/** Waits for the end of an answer before it begins its own. */
export const buffering: HandOn = (answer, response) => {
  const pieces: Buffer[] = [];
  answer.on("data", (piece: Buffer) => pieces.push(piece));
  answer.on("end", () => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.end(Buffer.concat(pieces));
  });
};

/** Compresses whatever the client accepts compressed; `flushes`: without holding back what doesn't fill a block. */
export function compressing(flushes: boolean): HandOn {
  return (answer, response, asked) => {
    if (!String(asked.headers["accept-encoding"]).includes("gzip") || answer.statusCode !== 200) {
      asItComes(answer, response, asked);
      return;
    }
    const { "content-length": _, ...headers } = answer.headers;
    response.writeHead(200, { ...headers, "content-encoding": "gzip" });
    response.flushHeaders();
    answer.pipe(createGzip(flushes ? { flush: constants.Z_SYNC_FLUSH } : {})).pipe(response);
  };
}

/** Cuts what has said nothing for a time, as proxies with a short read timeout do. */
export function cutting(idleMs: number): HandOn {
  return (answer, response, asked) => {
    asItComes(answer, response, asked);
    const cut = () => response.socket?.destroy();
    let timer = setTimeout(cut, idleMs);
    answer.on("data", () => {
      clearTimeout(timer);
      timer = setTimeout(cut, idleMs);
    });
    response.on("close", () => clearTimeout(timer));
  };
}
