import {
  type Claimed,
  type HandedOver,
  type LeaseRenewal,
  type Registry,
  RegistryError,
  type Written,
} from "../../src/ports/registry.ts";
import { Listeners } from "../../src/registry/listeners.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { Gate } from "../support/gate.ts";

/** A registry in memory that fails when it is told to, and holds calls back. */
export class FailingRegistry extends MemoryRegistry {
  /** What each call fails with, while there is one. */
  failure: "unavailable" | "refused" | undefined;
  /** Whether it gives no lease either: then it is away, also for a node that asks nothing else of it. */
  failsLeases = false;
  /** Calls in their order, as `claim k3f9q2.a`. */
  readonly calls: string[] = [];
  readonly #reachable = new Listeners<boolean>();
  readonly #gate = new Gate();

  /** Lets each call wait before it does anything. */
  hold(): { release(): void } {
    return this.#gate.hold();
  }

  override claim(...args: Parameters<Registry["claim"]>): Promise<Claimed> {
    return this.#unlessFailing(`claim ${args[0].id}`, () => super.claim(...args));
  }

  override close(...args: Parameters<Registry["close"]>): Promise<boolean> {
    const [id, options] = args;
    const remembered = options?.remember === true ? ", remembered" : "";
    return this.#unlessFailing(`close ${id}${remembered}`, () => super.close(...args));
  }

  override write(...args: Parameters<Registry["write"]>): Promise<Written> {
    return this.#unlessFailing(`write ${args[0]}`, () => super.write(...args));
  }

  override handOver(...args: Parameters<Registry["handOver"]>): Promise<HandedOver> {
    return this.#unlessFailing(`hand over ${args[0]}`, () => super.handOver(...args));
  }

  override async renewLease(...args: Parameters<Registry["renewLease"]>): Promise<LeaseRenewal> {
    if (this.failsLeases) throw new RegistryError("unavailable", "Redis (in a test) is away.");
    return await super.renewLease(...args);
  }

  override renew(ids: readonly string[]): Promise<readonly string[]> {
    return this.#unlessFailing(`renew ${ids.length}`, () => super.renew(ids));
  }

  override onReachable(listener?: (reachable: boolean) => void): () => void {
    return this.#reachable.add(listener ?? (() => {}));
  }

  tellReachable(reachable: boolean): void {
    this.#reachable.tell(reachable);
  }

  async #unlessFailing<T>(call: string, run: () => Promise<T>): Promise<T> {
    this.calls.push(call);
    const { failure } = this;
    await this.#gate.passed();
    if (failure !== undefined) throw new RegistryError(failure, "Redis (in a test) is away.");
    return await run();
  }
}
