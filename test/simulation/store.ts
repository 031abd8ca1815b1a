import type { HandedOver, SessionRecord } from "../../src/ports/registry.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import type { Rules } from "./rules.ts";

/** The store of the memory registry, under the schedule's time; wrong where the rules say so. */
export class Store extends MemoryStore {
  readonly #rules: Rules;

  constructor(rules: Rules) {
    super();
    this.#rules = rules;
  }

  override handOver(id: string, epoch: number, to: Pick<SessionRecord, "owner" | "peer">, now: number): HandedOver {
    const found = this.#rules.comparesEpochs ? undefined : this.find(id, now)?.epoch;
    return super.handOver(id, found ?? epoch, to, now);
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
