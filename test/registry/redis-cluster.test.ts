import { registryContract } from "../contracts/registry.ts";
import { startValkeyCluster } from "../support/valkey-cluster.ts";
import { redisBackend } from "./redis-backend.ts";

registryContract("Redis Cluster", async () => {
  const cluster = await startValkeyCluster();
  return redisBackend({ url: cluster.url, servers: cluster.servers.map(({ url }) => url), stop: () => cluster.stop() });
});
