import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import { MemoryRegistry } from "./memory/memory-registry.ts";
import { RedisRegistry } from "./redis/redis-registry.ts";

export interface OpenRegistryOptions {
  /** `redis://`, `rediss://` (TLS), `redis+sentinel://` or `redis+cluster://`. Without it: memory, a cluster of one. */
  readonly redis?: string | undefined;
  /** Several clusters on one Redis: each key begins with `<namespace>:`. */
  readonly namespace: string;
  readonly log: Log;
}

/** Makes the registry that the settings ask for; `start()` connects it. Throws a SettingsError for a malformed URL. */
export function openRegistry({ redis, namespace, log }: OpenRegistryOptions): Registry {
  return redis === undefined || redis === "" ? new MemoryRegistry() : new RedisRegistry({ url: redis, namespace, log });
}
