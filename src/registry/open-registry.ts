import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import { MemoryRegistry } from "./memory/memory-registry.ts";
import { MemoryStore } from "./memory/memory-store.ts";
import { RedisRegistry } from "./redis/redis-registry.ts";

export interface OpenRegistryOptions {
  /** `redis://`, `rediss://` (TLS), `redis+sentinel://` or `redis+cluster://`. Without it: memory, a cluster of one. */
  readonly redis?: string | undefined;
  /** Several clusters on one Redis: each key begins with `<namespace>:`. */
  readonly namespace: string;
  readonly log: Log;
  /** For how long a session is kept since its last use: milliseconds; 30 days, unless given. */
  readonly sessionTtlMs?: number | undefined;
}

/** Makes the registry that the settings ask for; `start()` connects it. Throws a SettingsError for a malformed URL. */
export function openRegistry({ redis, namespace, log, sessionTtlMs }: OpenRegistryOptions): Registry {
  return redis === undefined || redis === ""
    ? new MemoryRegistry({ store: new MemoryStore(sessionTtlMs) })
    : new RedisRegistry({ url: redis, namespace, log, sessionTtlMs });
}
