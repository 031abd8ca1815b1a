import { createServer, type Server } from "node:net";
import { ListenError, listenError } from "../admin/listen.ts";

/** The ports of a local cluster. 0: any free one. */
export interface ClusterPorts {
  readonly web: number;
  readonly tls: number;
  /** The first node's; the others follow. */
  readonly firstNode: number;
  /** The first node's admin listener; the others follow. */
  readonly firstAdmin: number;
  readonly console: number;
  readonly redis: number;
  /** Traefik's own API. */
  readonly api: number;
}

/** The option by which a person changes each port. */
export const portOptions: Readonly<Record<keyof ClusterPorts, string>> = {
  web: "--port",
  tls: "--tls-port",
  firstNode: "--node-port",
  firstAdmin: "--admin-port",
  console: "--console-port",
  redis: "--redis-port",
  api: "--api-port",
};

/** Everything listens on loopback alone: a local cluster is nobody else's business. */
export const host = "127.0.0.1";

/** Below the range that systems take ports for outgoing connections from: nobody gets these by chance. */
const lowestFree = 20_000;
const freeRange = 10_000;
const mostAttempts = 100;
const lookEveryMs = 100;

/**
 * Checks that every port can be taken. After a cluster that was killed, its processes need a moment to end: they are
 * given `patienceMs`.
 */
export async function checkPorts(
  ports: ClusterPorts,
  nodes: number,
  ownRedis: boolean,
  patienceMs: number,
): Promise<void> {
  const wanted = (Object.keys(portOptions) as (keyof ClusterPorts)[]).flatMap((key) => {
    if (ports[key] === 0 || (key === "redis" && !ownRedis)) return [];
    const count = key === "firstNode" || key === "firstAdmin" ? nodes : 1;
    return Array.from({ length: count }, (_, index) => ({ port: ports[key] + index, option: portOptions[key] }));
  });
  const twice = wanted.find(({ port }, index) => wanted.findIndex((other) => other.port === port) !== index);
  if (twice !== undefined) {
    const options = wanted.filter(({ port }) => port === twice.port).map(({ option }) => option);
    throw new ListenError(
      "port-twice",
      `Port ${twice.port} is asked for twice, by ${options.join(" and ")}. Give one of them another.`,
    );
  }
  const deadline = performance.now() + patienceMs;
  for (const { port, option } of wanted) {
    while (true) {
      const error = await tryPort(port);
      if (error === undefined) break;
      if (performance.now() >= deadline) throw listenError(error, { host, port }, option);
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }
}

/** Free ports, each held until the process that it is for starts: two clusters that start at once don't take the same. */
export class PortReservations {
  readonly #held = new Map<number, Server>();

  /** Gives the port that is wanted, or for 0 a free one. */
  async reserve(wanted: number): Promise<number> {
    if (wanted !== 0) return wanted;
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      const port = lowestFree + Math.floor(Math.random() * freeRange);
      const server = createServer();
      if ((await tryListen(server, port)) === undefined) {
        this.#held.set(port, server);
        return port;
      }
    }
    throw new ListenError(
      "no-free-port",
      `No free port was found between ${lowestFree} and ${lowestFree + freeRange}.`,
    );
  }

  async release(...ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const server = this.#held.get(port);
      this.#held.delete(port);
      if (server !== undefined) await new Promise((resolve) => server.close(resolve));
    }
  }

  async releaseAll(): Promise<void> {
    await this.release(...this.#held.keys());
  }
}

async function tryPort(port: number): Promise<NodeJS.ErrnoException | undefined> {
  const server = createServer();
  const error = await tryListen(server, port);
  if (error === undefined) await new Promise((resolve) => server.close(resolve));
  return error;
}

async function tryListen(server: Server, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return await new Promise((resolve) => {
    server.once("error", resolve);
    server.listen(port, host, () => resolve(undefined));
  });
}
