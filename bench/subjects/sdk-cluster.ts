import type { ClusterView } from "../../src/edge/view.ts";
import { findTraefik } from "../../src/local/binaries.ts";
import { localAuthority } from "../../src/local/ca.ts";
import { EdgeProcess } from "../../src/local/edge-process.ts";
import { cacheFolder } from "../../src/local/folders.ts";
import { host, PortReservations } from "../../src/local/ports.ts";
import { silentLog } from "../../src/ports/log.ts";
import type { Children } from "../children.ts";
import { type Serving, type Subject, startServing } from "./start.ts";

/**
 * Three SDK servers behind the Traefik that `mooring up` starts for its own nodes: the same sticky cookie, health checks
 * and timeouts.
 */
export async function startSdkCluster(children: Children, name: string): Promise<Subject> {
  const servers: Serving[] = [];
  for (let server = 0; server < 3; server += 1) servers.push(await startServing(children, "sdk"));
  const view: ClusterView = {
    nodes: servers.map(({ url }, index) => ({ name: `sdk-${index + 1}`, tag: "", url, state: "up" })),
  };

  const folder = await children.makeFolder();
  const authority = await localAuthority(cacheFolder());
  const certificate = await authority.issue(folder);
  const free = new PortReservations();
  const ports = { web: await free.reserve(0), tls: await free.reserve(0), api: await free.reserve(0) };
  const { path } = await findTraefik();
  await free.releaseAll();
  const edge = await EdgeProcess.start(
    { path, ports, folder, certificate, reaper: children.reaper, log: silentLog, affinity: ["cookie"] },
    view,
  );
  children.own(edge.process);
  return {
    name,
    url: `http://${host}:${ports.web}/mcp`,
    same: false,
    processes: { nodes: servers.map(({ pid }) => pid), traefik: [edge.process.pid] },
  };
}
