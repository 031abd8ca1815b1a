import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../ports/log.ts";
import type { NodeRecord } from "../ports/registry.ts";
import type { Exchange } from "./exchange.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { PeerClient, PeerNode } from "./peer/client.ts";
import { type RelayOutcome, relay } from "./relay.ts";
import { UnreachableSample } from "./unreachable-sample.ts";

/** The other nodes that are up, as far as relays need to know them. */
export interface ReachableNodes {
  byTag(tag: string): NodeRecord | undefined;
}

export interface RelaysParts {
  /** This node's tag: to itself nothing is passed on. */
  readonly self: string;
  readonly nodes: ReachableNodes;
  readonly peers: PeerClient;
  readonly metrics: NodeMetrics;
  readonly log: Log;
}

const lookEveryMs = 20;

/** Passes misrouted requests on to the nodes that own their sessions. */
export class Relays {
  readonly #parts: RelaysParts;
  readonly #unreachable = new UnreachableSample();
  /** Calls that were passed on, and whose answers have not left. */
  #unanswered = 0;

  constructor(parts: RelaysParts) {
    this.#parts = parts;
  }

  /** Whether requests can be passed on to a node: another one that is up and has a peer link. */
  canReach(tag: string | undefined): tag is string {
    return tag !== undefined && tag !== this.#parts.self && this.#parts.nodes.byTag(tag)?.peer !== undefined;
  }

  /** Passes a request on. Not answered: nothing of it was sent, or nothing that matters if it is sent again. */
  async send(exchange: Exchange, node: PeerNode, body: string | undefined): Promise<RelayOutcome> {
    const { peers, metrics, log } = this.#parts;
    if (node.peer === undefined) return "silent";
    const began = performance.now();
    const asked = peers.sign(node);
    const sign = typeof asked === "string" ? asked : await asked;
    const outcome = sign === "alive" ? await this.#relay(node, exchange, body) : sign;
    if (outcome === "answered") {
      metrics.relayed(performance.now() - began);
      this.#watch(exchange);
    } else if (outcome === "refused" || outcome === "silent") {
      const times = this.#unreachable.count(node.tag, performance.now());
      const { name: peer, peer: peerUrl } = node;
      if (times !== undefined) log.warn("peer-unreachable", { peer, peerUrl, reason: peers.failure(node), times });
    }
    return outcome;
  }

  /** Waits for the answers of calls that were passed on, for so long at the most. */
  async finished(mostMs: number): Promise<void> {
    const end = performance.now() + mostMs;
    while (this.#unanswered > 0 && performance.now() < end) await sleep(lookEveryMs);
  }

  async #relay(node: PeerNode, exchange: Exchange, body: string | undefined): Promise<RelayOutcome> {
    this.#unanswered += 1;
    try {
      return await relay(this.#parts.peers, node, exchange, body);
    } finally {
      this.#unanswered -= 1;
    }
  }

  #watch({ method, sink }: Exchange): void {
    if (method !== "POST" || sink.writableFinished || sink.destroyed) return;
    this.#unanswered += 1;
    sink.once("close", () => {
      this.#unanswered -= 1;
    });
  }
}
