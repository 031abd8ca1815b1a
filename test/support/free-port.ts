import { createServer } from "node:net";

/**
 * Below the ports that the system gives to outgoing connections: one of those could be taken between this look and the
 * server that is to listen on it. Below `mooring up`'s free ports, too.
 */
const lowest = 10_000;
const highest = 19_999;

/** Ports given out already, which a server may not have taken yet. */
const given = new Set<number>();

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (free) await new Promise<void>((resolve) => server.close(() => resolve()));
  return free;
}

/** A TCP port on loopback that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}
