import { findValkey } from "../../src/local/binaries.ts";
import { host, PortReservations } from "../../src/local/ports.ts";
import { startValkey } from "../../src/local/valkey-process.ts";
import type { Children } from "../children.ts";

export interface StartedValkey {
  readonly url: string;
  readonly pid: number;
}

/** The Valkey that `mooring up` would start: a registry for nodes, on nothing but memory. */
export async function startRegistry(children: Children): Promise<StartedValkey> {
  const { path } = await findValkey();
  const folder = await children.makeFolder();
  const free = new PortReservations();
  const port = await free.reserve(0);
  await free.releaseAll();
  const valkey = await startValkey(path, port, folder, children.reaper);
  children.own(valkey);
  return { url: `redis://${host}:${port}`, pid: valkey.pid };
}
