/** The names of everything that Mooring keeps in Redis. They are public: operators and tests read these keys. */
export interface RedisKeys {
  /** What is known of a session. The braces are literal: all keys of one session share a slot of Redis Cluster. */
  session(id: string): string;
  /** What is known of a node. */
  node(tag: string): string;
  /** The tags of all nodes, scored by when the lease of each ends. */
  readonly nodes: string;
  /** The secret by which nodes prove to each other that they belong together. */
  readonly secret: string;
  /** The channel on which the ids of closed sessions are told to every node. */
  readonly closed: string;
  /** The channel on which every node is told the tag of one that joined, changed its record or left. */
  readonly nodesChanged: string;
}

/** Several clusters share one Redis by namespaces: each name begins with `<namespace>:`. */
export function redisKeys(namespace: string): RedisKeys {
  const prefix = namespace === "" ? "mcp:" : `${namespace}:mcp:`;
  return {
    session: (id) => `${prefix}session:{${id}}`,
    node: (tag) => `${prefix}node:${tag}`,
    nodes: `${prefix}nodes`,
    secret: `${prefix}peer-secret`,
    closed: `${prefix}closed`,
    nodesChanged: `${prefix}nodes-changed`,
  };
}
