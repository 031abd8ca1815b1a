import type { ClusterView } from "../../src/edge/view.ts";
import type { Children } from "../children.ts";
import { startEdge } from "./edge.ts";
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
  const { url, edge } = await startEdge(children, view, ["cookie"]);
  return {
    name,
    url,
    same: false,
    processes: { nodes: servers.map(({ pid }) => pid), traefik: [edge.process.pid] },
  };
}
