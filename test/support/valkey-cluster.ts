import { createClient } from "redis";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";
import { startValkey, type Valkey, type ValkeyOptions } from "./valkey.ts";

/** A real cluster of three servers, each with a third of the slots, without replicas. */
export interface ValkeyCluster {
  /** `redis+cluster://…` with all three. */
  readonly url: string;
  readonly servers: readonly Valkey[];
  /** Starts a killed server again, with its place in the cluster but without its keys. */
  revive(index: number): Promise<Valkey>;
  stop(): Promise<void>;
}

const thirds = [
  [0, 5460],
  [5461, 10922],
  [10923, 16383],
] as const;

export async function startValkeyCluster(moreArgs: readonly string[] = []): Promise<ValkeyCluster> {
  // The port of the cluster's own bus is given, because the usual one, 10000 above, may not exist.
  const busPorts = [await freePort(), await freePort(), await freePort()];
  const start = (index: number, place: Partial<ValkeyOptions> = {}) =>
    startValkey({
      ...place,
      args: [
        ...["--cluster-enabled", "yes", "--cluster-port", String(busPorts[index]), "--cluster-node-timeout", "15000"],
        ...moreArgs,
      ],
    });
  const servers = await Promise.all(busPorts.map((_, index) => start(index)));
  const stop = async () => void (await Promise.all(servers.map((server) => server.stop())));
  try {
    await formCluster(servers, busPorts);
  } catch (error) {
    await stop();
    throw error;
  }
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return {
    url: `redis+cluster://${hosts}`,
    servers,
    async revive(index) {
      const { port, folder } = servers[index] as Valkey;
      return await start(index, { port, folder });
    },
    stop,
  };
}

async function formCluster(servers: readonly Valkey[], busPorts: readonly number[]): Promise<void> {
  const clients = await Promise.all(servers.map(({ url }) => createClient({ url }).connect()));
  try {
    for (const [index, client] of clients.entries()) {
      const [first, last] = thirds[index] as (typeof thirds)[number];
      await client.sendCommand(["CLUSTER", "ADDSLOTSRANGE", String(first), String(last)]);
      await client.sendCommand(["CLUSTER", "SET-CONFIG-EPOCH", String(index + 1)]);
    }
    for (const [index, { port }] of servers.entries()) {
      await clients[0]?.sendCommand(["CLUSTER", "MEET", "127.0.0.1", String(port), String(busPorts[index])]);
    }
    for (const client of clients) {
      await eventually(async () => {
        const info = String(await client.sendCommand(["CLUSTER", "INFO"]));
        if (!info.includes("cluster_state:ok") || !info.includes("cluster_known_nodes:3")) throw new Error(info);
        // Both ways to both others: before, and while one is set up again, what is published there is not heard here.
        const links = (await client.sendCommand(["CLUSTER", "LINKS"])) as unknown as unknown[];
        if (links.length < 4) throw new Error(`${links.length} of 4 links of the cluster's bus are up`);
      }, 20_000);
    }
  } finally {
    for (const client of clients) client.destroy();
  }
}
