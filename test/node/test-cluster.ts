import type { NodeOptions } from "mooring";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { ConductedServer } from "../support/conducted-server.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, type ServingOptions, serve } from "../support/serving.ts";

/** A clock that tests move. */
class SetClock {
  #now = Date.UTC(2026, 0, 1);

  now(): number {
    return this.#now;
  }

  pass(ms: number): void {
    this.#now += ms;
  }
}

/** A node of a cluster in this process, with what a test looks at. */
export interface ClusterNode extends Serving {
  readonly conducted: ConductedServer;
  readonly log: RecordedLog;
  /** Begins a session here. */
  begin(options?: { readonly version?: string }): Promise<RawClient>;
  /** The same client, sent to this node. */
  for(client: RawClient): RawClient;
}

/** What a node is given besides what all of them have. */
export interface ClusterNodeOptions extends ServingOptions {
  /** What it serves; unless given, a server that the test conducts. */
  readonly server?: NodeOptions["server"];
}

/** Nodes in this process that share a registry in memory. */
export class TestCluster {
  readonly store = new MemoryStore();
  /** The nodes' own clock. The registry goes by the real one, by which nodes give their signs of life. */
  readonly clock = new SetClock();
  readonly #nodes = new Set<ClusterNode>();

  async start(name: string, { server, ...options }: ClusterNodeOptions = {}): Promise<ClusterNode> {
    const conducted = new ConductedServer();
    const log = new RecordedLog();
    const registry = new MemoryRegistry({ store: this.store });
    const serving = await serve(server ?? conducted.definition, {
      name,
      registry,
      log,
      clock: this.clock,
      policy: "reject",
      ...options,
    });
    const node: ClusterNode = {
      ...serving,
      conducted,
      log,
      begin: (more) => RawClient.begin(serving.url, more),
      for: (client) => client.at(serving.url),
      stop: async (how) => {
        this.#nodes.delete(node);
        await serving.stop(how);
      },
    };
    this.#nodes.add(node);
    return node;
  }

  /** What the registry has of a session. */
  find(id: string) {
    return this.store.find(id, Date.now());
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes) await node.stop({ handOver: false });
  }
}
