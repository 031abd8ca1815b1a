import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What a subject's process says to the bench once it serves; `mooring serve` says the same, and more. */
export interface Listening {
  /** Without a path. */
  readonly url: string;
}

/** Listens on a free port of loopback and tells the bench. The process then ends with the bench, however that ends. */
export async function serveForBench(server: Server): Promise<void> {
  // As Mooring's nodes: the edge closes idle connections first.
  server.keepAliveTimeout = 75_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  process.on("disconnect", () => process.exit(0));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.send?.({ url } satisfies Listening);
}
