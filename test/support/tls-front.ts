import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { createServer } from "node:tls";
import { generate } from "selfsigned";

/** TLS in front of a server that speaks none. */
export interface TlsFront {
  readonly port: number;
  /** What a client has to trust: the certificate, in PEM. */
  readonly ca: string;
  stop(): Promise<void>;
}

/** Terminates TLS for 127.0.0.1 and localhost and hands the plain bytes on to a local port. */
export async function startTlsFront(toPort: number): Promise<TlsFront> {
  const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }], {
    keySize: 2048,
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  const sockets = new Set<Socket>();
  const server = createServer({ key, cert }, (front) => {
    const back = connect(toPort, "127.0.0.1");
    for (const socket of [front, back]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {
        front.destroy();
        back.destroy();
      });
    }
    front.pipe(back).pipe(front);
  });
  // A client that does not trust the certificate breaks off; that is its test's concern.
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    ca: cert,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
