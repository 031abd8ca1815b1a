import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Address } from "./address.ts";

/** An address could not be taken: in use, forbidden, or not of this machine. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Makes a server listen, and gives the address that it got.
 *
 * @param option what a person can change, such as `--port`
 */
export async function listen(server: Server, address: Address, option: string): Promise<Address> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(listenError(error, address, option));
    server.once("error", failed);
    server.listen(address.port, address.host, () => {
      server.off("error", failed);
      resolve();
    });
  });
  return { host: address.host, port: (server.address() as AddressInfo).port };
}

/** What to say when an address can't be taken. */
export function listenError(error: NodeJS.ErrnoException, { host, port }: Address, option: string): ListenError {
  const where = `${host}:${port}`;
  if (error.code === "EADDRINUSE") {
    return new ListenError(
      "port-in-use",
      `Port ${port} on ${host} is in use, and ${option} asks for it. Stop what listens there, or give another with ${option} (0 takes a free one).`,
      { cause: error },
    );
  }
  const reason = error.code === "EACCES" ? "this user may not listen on it" : error.message;
  return new ListenError(
    "cannot-listen",
    `Cannot listen on ${where}: ${reason}. Give another address with ${option}.`,
    {
      cause: error,
    },
  );
}
