import type { Cluster } from "../cluster/harness.ts";

interface Listed {
  readonly id: string;
  readonly node: string;
  readonly epoch: number;
}

const everyMs = 100;

/**
 * Looks all the while at who says that it owns which session. Looks at nodes come one after another, so that a session
 * may be seen at two of them; but never in one epoch.
 */
export class OwnersWatch {
  readonly faults: string[] = [];
  looks = 0;
  readonly #cluster: Cluster;
  readonly #owners = new Map<string, string>();
  #watching = true;
  readonly #loop: Promise<void>;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#loop = this.#watch();
  }

  async stop(): Promise<void> {
    this.#watching = false;
    await this.#loop;
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      await Promise.all(this.#cluster.nodes.map(({ admin }) => this.#look(admin)));
      this.looks += 1;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  async #look(admin: string): Promise<void> {
    let sessions: readonly Listed[];
    try {
      const answer = await fetch(`${admin}/api/sessions?scope=node`, { signal: AbortSignal.timeout(1_000) });
      ({ sessions } = (await answer.json()) as { sessions: readonly Listed[] });
    } catch {
      // Killed, frozen, or on its way up again.
      return;
    }
    for (const { id, node, epoch } of sessions) {
      const key = `${id} in epoch ${epoch}`;
      const before = this.#owners.get(key);
      if (before !== undefined && before !== node) this.faults.push(`${key}: ${before} and ${node}`);
      this.#owners.set(key, node);
    }
  }
}
