import type { HandedOver, NewOwner, NodeRecord, SessionRecord } from "../../src/ports/registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import type { Rules } from "./rules.ts";

/** A node as the simulated registry knows it. */
export interface SimRecord extends NodeRecord {
  /** The version of the app that it runs: it reads state of this shape and of older ones. */
  readonly app: number;
}

/** The store of the memory registry, under the schedule's time; wrong where the rules say so. */
export class Store extends MemoryStore {
  readonly #rules: Rules;
  /** The starts of nodes that left: all others are told. */
  readonly left = new Set<string>();

  constructor(rules: Rules) {
    super();
    this.#rules = rules;
  }

  /** Compares the epoch, unless there is none. */
  handOverTo(to: NewOwner, id: string, epoch: number | undefined, now: number): HandedOver {
    const found = this.find(id, now)?.epoch ?? 0;
    return super.handOver(id, this.#rules.comparesEpochs ? (epoch ?? found) : found, to, now);
  }

  /** Notes what has changed of a node. Gives whether it is still there. */
  tell(node: SimRecord, leaseMs: number, now: number): boolean {
    return (
      this.node(node.tag, now)?.incarnation === node.incarnation && this.join(node, leaseMs, now).kind === "joined"
    );
  }

  override leave(node: NodeRecord): void {
    this.left.add(node.incarnation);
    super.leave(node);
  }

  override nodes(now: number): SimRecord[] {
    return super.nodes(now) as SimRecord[];
  }

  protected override remembers(existed: boolean, asked: boolean): boolean {
    return this.#rules.remembersEveryClose ? super.remembers(existed, asked) : asked && !existed;
  }

  /** Gives a session its full TTL again. Gives whether it was there. */
  renewed(record: SessionRecord, now: number): boolean {
    if (this.renew(record.id, now)) return true;
    return this.#rules.renewalCreates && super.claim(record, now).kind === "claimed";
  }
}
