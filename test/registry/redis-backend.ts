import { createClient } from "redis";
import type { Log } from "../../src/ports/log.ts";
import { RedisRegistry, type RedisRegistryOptions } from "../../src/registry/redis/redis-registry.ts";
import type { RegistryBackend } from "../contracts/registry.ts";
import { RecordedLog } from "../support/recorded-log.ts";

export interface RunningRedis {
  /** As a registry is given it. */
  readonly url: string;
  /** The servers themselves that can be written to. */
  readonly servers: readonly string[];
  readonly stop: () => Promise<void>;
  readonly options?: Partial<RedisRegistryOptions>;
}

/** A backend of the contract suite on a Redis that runs. */
export function redisBackend({ url, servers, stop, options }: RunningRedis): RegistryBackend {
  return {
    open: (namespace) => redisRegistry(url, { ...options, namespace }),
    async lose() {
      for (const server of servers) {
        const client = await createClient({ url: server }).connect();
        await client.sendCommand(["FLUSHALL"]);
        client.destroy();
      }
    },
    stop,
  };
}

/** A registry that was not started. */
export function redisRegistry(
  url: string,
  { log = new RecordedLog() as Log, namespace = "", ...more }: Partial<RedisRegistryOptions> = {},
): RedisRegistry {
  return new RedisRegistry({ url, namespace, log, ...more });
}
