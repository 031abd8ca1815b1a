import type { NodeView, ToldNode } from "../admin/target.ts";
import { askCluster, findCluster } from "./cluster-address.ts";
import { CommandError } from "./failure.ts";

/** Codes that say nothing of the cluster: another node may know. */
const unasked = ["no-answer", "cluster-not-asked"];
const mostAdmins = 10;

/** Looks at the nodes of a cluster while some of them go away: it asks whichever admin listener answers. */
export class ClusterWatch {
  /** The address that was meant, and those of the nodes that were last seen; the one that answered last is the first. */
  #admins: readonly string[];

  /** @param url what `--url` says; else the local cluster is watched */
  static async open(url: string | undefined): Promise<ClusterWatch> {
    return new ClusterWatch(await findCluster(url));
  }

  private constructor(meant: string) {
    this.#admins = [meant];
  }

  /** All nodes. Rejects with a CommandError when nobody answers. */
  async nodes(): Promise<readonly NodeView[]> {
    let failure: unknown;
    for (const asked of this.#admins) {
      try {
        const nodes = (await askCluster(asked, "/api/nodes")) as readonly NodeView[];
        const others = [...this.#admins, ...nodes.flatMap(({ admin }) => admin ?? [])];
        this.#admins = [...new Set([asked, ...others])].slice(0, mostAdmins);
        return nodes;
      } catch (error) {
        if (!(error instanceof CommandError) || !unasked.includes(error.code)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  /** One node by its name; undefined while it is not listed, or nobody answers. */
  async node(name: string): Promise<NodeView | undefined> {
    try {
      return (await this.nodes()).find((node) => node.name === name);
    } catch (error) {
      if (error instanceof CommandError) return undefined;
      throw error;
    }
  }

  /** Tells a node to drain, to be up again, or to restart: through the one who answered last, and no other. */
  async tell(name: string, what: "drain" | "undrain" | "restart"): Promise<ToldNode> {
    const path = `/api/nodes/${encodeURIComponent(name)}/${what === "restart" ? "restart" : "drain"}`;
    return (await askCluster(this.#admins[0], path, what === "undrain" ? "DELETE" : "POST")) as ToldNode;
  }
}
