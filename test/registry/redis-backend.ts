import type { Log } from "../../src/ports/log.ts";
import { RedisRegistry, type RedisRegistryOptions } from "../../src/registry/redis/redis-registry.ts";
import type { RegistryBackend } from "../contracts/registry.ts";
import { RecordedLog } from "../support/recorded-log.ts";

/** A backend of the contract suite on a Redis that runs. */
export function redisBackend(
  url: string,
  stop: () => Promise<void>,
  more: Partial<RedisRegistryOptions> = {},
): RegistryBackend {
  return { open: (namespace) => redisRegistry(url, { ...more, namespace }), stop };
}

/** A registry that was not started. */
export function redisRegistry(
  url: string,
  { log = new RecordedLog() as Log, namespace = "", ...more }: Partial<RedisRegistryOptions> = {},
): RedisRegistry {
  return new RedisRegistry({ url, namespace, log, ...more });
}
