/** The names of everything that Mooring keeps in Redis. They are public: operators and tests read these keys. */
export interface RedisKeys {
  /** What is known of a session, and all that is kept of it. */
  session(id: string): SessionKeys;
  /** What is known of a node. */
  node(tag: string): string;
  /** The tags of all nodes, scored by when the lease of each ends. */
  readonly nodes: string;
  /** The secret by which nodes prove to each other that they belong together. */
  readonly secret: string;
  /** Which generation of entries this is: it is gone when they are. */
  readonly generation: string;
  /** The same for a cluster: keys in so many places that each shard has one. */
  readonly generations: readonly string[];
  /** The channel on which the ids of closed sessions are told to every node. */
  readonly closed: string;
  /** The channel on which every node is told the tag of one that joined, changed its record or left. */
  readonly nodesChanged: string;
}

/** The keys of one session. The braces are literal: all of them share a slot of Redis Cluster. */
export interface SessionKeys {
  /** A hash: who owns it, and what else is known of it. The only key of a session that is never adopted. */
  readonly record: string;
  /** A hash: session state by key. */
  readonly state: string;
  /** A list: what was sent on its streams, the oldest first. */
  readonly events: string;
  /** A hash: calls that have begun, by request id. */
  readonly ledger: string;
  /** That it was closed, for an hour. */
  readonly closed: string;
}

/** Their slots are 1024 from each other: one of them is in every run of so many slots. */
const spreadTags = [18, 249, 72, 223, 105, 2, 64, 235, 265, 34, 413, 155, 273, 22, 219, 48] as const;

/** Several clusters share one Redis by namespaces: each name begins with `<namespace>:`. */
export function redisKeys(namespace: string): RedisKeys {
  const prefix = namespace === "" ? "mcp:" : `${namespace}:mcp:`;
  return {
    session: (id) => {
      const record = `${prefix}session:{${id}}`;
      return {
        record,
        state: `${record}:state`,
        events: `${record}:events`,
        ledger: `${record}:ledger`,
        closed: `${record}:closed`,
      };
    },
    node: (tag) => `${prefix}node:${tag}`,
    nodes: `${prefix}nodes`,
    secret: `${prefix}peer-secret`,
    generation: `${prefix}generation`,
    generations: spreadTags.map((tag) => `${prefix}generation:{${tag}}`),
    closed: `${prefix}closed`,
    nodesChanged: `${prefix}nodes-changed`,
  };
}
