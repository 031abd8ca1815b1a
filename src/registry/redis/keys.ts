/** The names of everything that Mooring keeps in Redis. They are public: operators and tests read these keys. */
export interface RedisKeys {
  /** What is known of a session. The braces are literal: all keys of one session share a slot of Redis Cluster. */
  session(id: string): string;
  /** What is known of a node. */
  node(tag: string): string;
  /** The tags of all nodes, scored by when each last joined. */
  readonly nodes: string;
  /** The channel on which the ids of closed sessions are told to every node. */
  readonly closed: string;
}

/** Several clusters share one Redis by namespaces: each name begins with `<namespace>:`. */
export function redisKeys(namespace: string): RedisKeys {
  const prefix = namespace === "" ? "mcp:" : `${namespace}:mcp:`;
  return {
    session: (id) => `${prefix}session:{${id}}`,
    node: (tag) => `${prefix}node:${tag}`,
    nodes: `${prefix}nodes`,
    closed: `${prefix}closed`,
  };
}
