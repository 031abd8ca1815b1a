import { fileURLToPath } from "node:url";
import type { Children } from "../children.ts";
import type { Subject } from "./start.ts";

const startDeadlineMs = 60_000;

/** A node that serves, as `mooring up` tells of it. */
export interface LiveNode {
  readonly name: string;
  readonly tag: string;
  readonly pid: number;
  /** Without a path. */
  readonly url: string;
}

/** The part of the line of `mooring up --json` that the bench needs. */
interface Ready {
  readonly mcp: string;
  readonly traefik: { readonly pid: number };
  readonly redis: { readonly pid?: number };
  readonly nodes: readonly LiveNode[];
}

/** What `mooring up` starts, with the yardstick server. */
async function startUp(children: Children, nodes: number): Promise<Ready> {
  let line: string | undefined;
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  const up = await children.start({
    name: "mooring up",
    command: process.execPath,
    args: [main, "up", "--port", "0", "--json", "--nodes", String(nodes), "--server", "yardstick"],
    onLine: (text, stream) => {
      if (stream === "stdout") line ??= text;
    },
  });
  await up.ready(() => line !== undefined, startDeadlineMs);
  return JSON.parse(line as unknown as string) as Ready;
}

/** Two nodes, without anything between: calls that reach their session's owner, and calls that reach the other node. */
export async function startRelayPair(
  children: Children,
): Promise<{ readonly direct: Subject; readonly relayed: Subject }> {
  const { nodes } = await startUp(children, 2);
  const [owner, other] = nodes.map(({ url }) => `${url}/mcp`) as [string, string];
  const [ownerPid, otherPid] = nodes.map(({ pid }) => pid) as [number, number];
  const processes = { owner: [ownerPid], other: [otherPid] };
  return {
    direct: { name: "direct", url: owner, same: false, processes },
    relayed: { name: "relayed", url: other, openAt: owner, same: false, processes },
  };
}

/** Three nodes with the yardstick server, for a Traefik that the bench starts itself. */
export async function startLiveNodes(children: Children): Promise<readonly LiveNode[]> {
  return (await startUp(children, 3)).nodes;
}

/** Three nodes with the yardstick server, Traefik before them and Valkey behind them: what `mooring up` starts. */
export async function startMooringCluster(children: Children, name: string): Promise<Subject> {
  const { mcp, traefik, redis, nodes } = await startUp(children, 3);
  return {
    name,
    // One address family, so that no call looks a name up.
    url: mcp.replace("//localhost", "//127.0.0.1"),
    same: false,
    processes: {
      nodes: nodes.map(({ pid }) => pid),
      traefik: [traefik.pid],
      ...(redis.pid === undefined ? {} : { redis: [redis.pid] }),
    },
  };
}
