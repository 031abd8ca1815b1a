import { type Joining, type LeaseRenewal, type NodeRecord, RegistryError } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { Gate } from "../support/gate.ts";

/** A registry in memory whose calls about nodes fail or wait when they are told to. */
export class FailingNodes extends MemoryRegistry {
  failing = false;
  /** A join is done, and its answer lost. */
  losesJoins = false;
  override onReachable: (listener?: (reachable: boolean) => void) => () => void = () => () => {};
  /** How many of a node's writes have begun. */
  calls = 0;
  readonly #gate = new Gate();

  /** Lets calls wait, as in a process that is frozen. */
  hold(): { release(): void } {
    return this.#gate.hold();
  }

  override join(node: NodeRecord, leaseMs: number): Promise<Joining> {
    return this.#unlessFailing(async () => {
      const joining = await super.join(node, leaseMs);
      if (this.losesJoins) throw new RegistryError("unavailable", "The registry's answer (in a test) was lost.");
      return joining;
    });
  }

  override renewLease(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal> {
    return this.#unlessFailing(() => super.renewLease(node, leaseMs));
  }

  override nodes(): Promise<readonly NodeRecord[]> {
    return this.#unlessFailing(() => super.nodes());
  }

  async #unlessFailing<T>(call: () => Promise<T>): Promise<T> {
    this.calls += 1;
    await this.#gate.passed();
    if (this.failing) throw new RegistryError("unavailable", "The registry (in a test) is away.");
    return await call();
  }
}
