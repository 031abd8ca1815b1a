import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy that can cut what passes through it: for clients that can't be told to lose their connection. */
export interface CuttingProxy {
  readonly url: string;
  /** Whether a text has passed to the client on a connection that is still open. */
  hasPassed(text: string): boolean;
  /** Cuts each connection that is open now, without a word. Gives how many there were. */
  cut(): number;
  stop(): Promise<void>;
}

export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const pairs = new Map<readonly [Socket, Socket], string>();
  const server = createServer((front) => {
    const back = connect(Number(port), hostname);
    const pair = [front, back] as const;
    pairs.set(pair, "");
    back.on("data", (chunk) => {
      const passed = pairs.get(pair);
      if (passed !== undefined) pairs.set(pair, passed + chunk.toString("latin1"));
    });
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.setNoDelay(true).on("error", end).on("close", end);
    front.pipe(back).pipe(front);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    const open = [...pairs.keys()];
    // What has passed arrives before the end: a reset would take it from the client again.
    for (const socket of open.flat()) socket.destroy();
    return open.length;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hasPassed: (text) => [...pairs.values()].some((passed) => passed.includes(text)),
    cut,
    async stop() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
