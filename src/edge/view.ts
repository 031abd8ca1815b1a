/** What the edge knows of a node. */
export interface EdgeNode {
  readonly name: string;
  /** The first part of the session ids that the node mints. */
  readonly tag: string;
  /** Where it serves, without a path: `http://host:port`. */
  readonly url: string;
  /** up: in the pool and pinned; draining: pinned only; down: neither, its sessions fall to the pool. */
  readonly state: "up" | "draining" | "down";
  /** The tags of nodes that are gone for good, whose sessions come to this one. */
  readonly inherits?: readonly string[] | undefined;
}

/** The cluster's view: what every renderer makes its configuration from. */
export interface ClusterView {
  readonly nodes: readonly EdgeNode[];
}

/** The nodes that take new clients, in an order that does not depend on who told of them first. */
export function poolOf(view: ClusterView): EdgeNode[] {
  return inOrder(view).filter(({ state }) => state === "up");
}

/** The nodes whose sessions are sent to them: those of the pool, and those that drain. */
export function pinnedOf(view: ClusterView): EdgeNode[] {
  return inOrder(view).filter(({ state }) => state !== "down");
}

function inOrder(view: ClusterView): EdgeNode[] {
  return [...view.nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
}
