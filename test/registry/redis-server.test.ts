import { registryContract } from "../contracts/registry.ts";
import { startValkey } from "../support/valkey.ts";
import { redisBackend } from "./redis-backend.ts";

registryContract("Redis, one server", async () => {
  const valkey = await startValkey();
  return redisBackend({ url: `${valkey.url}/3`, servers: [valkey.url], stop: () => valkey.stop() });
});
