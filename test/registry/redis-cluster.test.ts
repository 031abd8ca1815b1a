import { registryContract } from "../contracts/registry.ts";
import { startValkeyCluster } from "../support/valkey-cluster.ts";
import { redisBackend } from "./redis-backend.ts";

registryContract("Redis Cluster", async () => {
  const cluster = await startValkeyCluster();
  return redisBackend(cluster.url, () => cluster.stop());
});
