import { registryContract } from "../contracts/registry.ts";
import { startValkeySentinels } from "../support/valkey-sentinels.ts";
import { redisBackend } from "./redis-backend.ts";

registryContract("Redis Sentinel", async () => {
  const sentinels = await startValkeySentinels();
  return redisBackend({ url: sentinels.url, servers: [sentinels.primary.url], stop: () => sentinels.stop() });
});
