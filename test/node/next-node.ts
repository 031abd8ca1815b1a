import { randomUUID } from "node:crypto";
import { completeSettings } from "../../src/model/complete-settings.ts";
import type { FormatRange } from "../../src/model/formats.ts";
import { tagOf } from "../../src/model/tag.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";
import { type Peering, startPeering } from "../../src/node/peering.ts";
import { silentLog } from "../../src/ports/log.ts";
import type { HandedOver, NodeRecord } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import type { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { answerJson } from "../../src/session/response-sink.ts";

/**
 * A node of the next version, as far as others see it: it takes what it is offered and reads, and answers each request
 * that it is passed with its own name.
 */
export class NextNode {
  readonly record: NodeRecord;
  readonly reads: FormatRange;
  /** How each session that it was offered came to it. */
  readonly taken: HandedOver[] = [];
  readonly #registry: MemoryRegistry;
  readonly #peering: Peering;

  private constructor(record: NodeRecord, reads: FormatRange, registry: MemoryRegistry, peering: Peering) {
    this.record = record;
    this.reads = reads;
    this.#registry = registry;
    this.#peering = peering;
    peering.onQuestion("take", ({ id, epoch }) => this.#take(String(id), Number(epoch)));
  }

  static async start(name: string, store: MemoryStore, reads: FormatRange): Promise<NextNode> {
    const registry = new MemoryRegistry({ store });
    await registry.start();
    const self = { tag: tagOf(name), incarnation: randomUUID() };
    const url = "http://127.0.0.1:1";
    const peering = await startPeering({
      ...{ self, url, registry, settings: completeSettings({}), metrics: new NodeMetrics(), log: silentLog },
      nodes: { byTag: () => undefined },
      relayed: async ({ sink }) => answerJson(sink, 200, JSON.stringify({ servedBy: name })),
    });
    const node = { name, ...self, url, peer: peering.url, reads, state: "up", pid: 1, since: Date.now() } as const;
    await registry.join(node, 60_000);
    return new NextNode(node, reads, registry, peering);
  }

  async stop(): Promise<void> {
    await this.#registry.leave(this.record);
    await this.#peering.stop();
    await this.#registry.stop();
  }

  async #take(id: string, epoch: number) {
    const { tag, incarnation, peer } = this.record;
    const to = { owner: { tag, incarnation }, peer, reads: this.reads };
    const outcome = await this.#registry.handOver(id, epoch, to);
    this.taken.push(outcome);
    return outcome.kind === "handed-over" ? { taken: true } : { taken: false, why: "not-ours" };
  }
}
