import type { Cluster } from "../cluster/harness.ts";

/** The sum of a counter over all nodes of a cluster, for the labels given. */
export async function total(cluster: Cluster, name: string, labels: Record<string, string> = {}): Promise<number> {
  let sum = 0;
  for (const { admin } of cluster.nodes) {
    const text = await (await fetch(`${admin}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
    for (const [, found, value] of text.matchAll(new RegExp(`^${name}(?:\\{([^}]*)\\})? (\\S+)$`, "gm"))) {
      const isWanted = Object.entries(labels).every(([key, label]) => found?.includes(`${key}="${label}"`) === true);
      if (isWanted) sum += Number(value);
    }
  }
  return sum;
}
