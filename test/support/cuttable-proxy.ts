import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";

/** A way to a local port whose connections can die without a word, as behind a firewall that forgot them. */
export interface CuttableProxy {
  readonly port: number;
  /** From now on nothing passes on the connections of this moment, and neither end is told. New ones work. */
  cut(): void;
  /** As {@link cut}, and nothing passes on new ones either, until {@link unblock}. */
  block(): void;
  unblock(): void;
  stop(): Promise<void>;
}

export async function startCuttableProxy(toPort: number): Promise<CuttableProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let isBlocked = false;
  const server = createServer((front) => {
    const back = connect(toPort, "127.0.0.1");
    const pair = [front, back] as const;
    pairs.add(pair);
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        front.destroy();
        back.destroy();
        pairs.delete(pair);
      });
    }
    if (!isBlocked) front.pipe(back).pipe(front);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const [front, back] of pairs) {
      front.unpipe(back).resume();
      back.unpipe(front).resume();
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    block() {
      isBlocked = true;
      cut();
    },
    unblock() {
      isBlocked = false;
      for (const [front] of pairs) front.destroy();
    },
    async stop() {
      for (const [front] of pairs) front.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
