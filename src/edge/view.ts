/** What the edge knows of a node. */
export interface EdgeNode {
  readonly name: string;
  /** The first part of the session ids that the node mints. */
  readonly tag: string;
  /** Where it serves, without a path: `http://host:port`. */
  readonly url: string;
  /** up: in the pool; draining and down: not. */
  readonly state: "up" | "draining" | "down";
}

/** The cluster's view: what every renderer makes its configuration from. */
export interface ClusterView {
  readonly nodes: readonly EdgeNode[];
}
