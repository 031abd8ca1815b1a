import type { ClusterView } from "../../src/edge/view.ts";
import { findTraefik } from "../../src/local/binaries.ts";
import { localAuthority } from "../../src/local/ca.ts";
import { EdgeProcess } from "../../src/local/edge-process.ts";
import { cacheFolder } from "../../src/local/folders.ts";
import { host, PortReservations } from "../../src/local/ports.ts";
import type { Affinity } from "../../src/model/settings.ts";
import { silentLog } from "../../src/ports/log.ts";
import type { Children } from "../children.ts";

/** A Traefik, and where it serves MCP. */
export interface Edge {
  readonly url: string;
  readonly edge: EdgeProcess;
}

/** The Traefik that `mooring up` starts for its own nodes, in front of any others. */
export async function startEdge(children: Children, view: ClusterView, affinity: readonly Affinity[]): Promise<Edge> {
  const folder = await children.makeFolder();
  const authority = await localAuthority(cacheFolder());
  const certificate = await authority.issue(folder);
  const free = new PortReservations();
  const ports = { web: await free.reserve(0), tls: await free.reserve(0), api: await free.reserve(0) };
  const { path } = await findTraefik();
  await free.releaseAll();
  const edge = await EdgeProcess.start(
    { path, ports, folder, certificate, reaper: children.reaper, log: silentLog, affinity },
    view,
  );
  children.own(edge.process);
  return { url: `http://${host}:${ports.web}/mcp`, edge };
}
