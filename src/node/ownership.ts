import {
  heldUntil,
  isOver,
  mayOwn,
  type Promised,
  promisedBy,
  type Reading,
  type Right,
  renewed,
} from "../model/lease.ts";
import type { NodeRecord } from "../ports/registry.ts";

export interface OwnershipParts {
  /** For how long a lease, and a promise of another member, holds: milliseconds. */
  readonly lease: number;
  /** In the policy `reject` nobody adopts, so that an owner has nothing to give up. */
  readonly policy: "resume" | "reject";
  read(): Reading;
  /** The other members of the last table. */
  others(): readonly NodeRecord[];
  /** Asks one of them to adopt nothing of this node's for a lease. Ends within a deadline; never rejects. */
  askPromise(node: NodeRecord): Promise<"promised" | "dead" | "silent">;
  /** The right is over: every session has to be given up. Called once for each time that it ends. */
  onOver(): void;
}

/** This node's right to own sessions: its lease, and beyond it the promises of the others (model/lease.ts). */
export class Ownership {
  readonly #parts: OwnershipParts;
  #right: Right | undefined;
  #over = false;
  #ends = 0;
  #asking: Promise<void> | undefined;

  constructor(parts: OwnershipParts) {
    this.#parts = parts;
  }

  /**
   * Whether this node may act as owner now. It is asked when a request is taken, and before each message leaves. A right
   * that has ended begins again with a lease only: others may have adopted meanwhile.
   */
  mayOwn(): boolean {
    if (this.#parts.policy === "reject") return true;
    // Before the first lease there is nothing that anybody could adopt.
    if (this.#right === undefined) return true;
    if (!this.#over && mayOwn(this.#right, this.#parts.read())) return true;
    if (!this.#over) {
      this.#over = true;
      this.#ends += 1;
      this.#parts.onOver();
    }
    return false;
  }

  /** How often the right has ended: what began before the last time is not this node's any more. */
  get ends(): number {
    return this.#ends;
  }

  /** The registry gave the lease again, when it was asked at that time. */
  renewed(askedAt: Reading): void {
    // Nobody may have looked since the former right ended: what it gave ends with it.
    this.mayOwn();
    const right = renewed(askedAt, this.#parts.lease);
    // An answer that took longer than the lease gives no right.
    if (isOver(right.lease, this.#parts.read())) return;
    this.#right = right;
    this.#over = false;
  }

  /** The registry did not answer: asks every other member for its promise. Never rejects. */
  async notRenewed(): Promise<void> {
    if (this.#parts.policy === "reject" || !this.mayOwn()) return;
    this.#asking ??= this.#askAll().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
    this.mayOwn();
  }

  async #askAll(): Promise<void> {
    const right = this.#right;
    const { lease } = this.#parts;
    // Also where there is nobody to ask, or nobody alive: what is true now is not true for ever.
    const asOf: Promised = { kind: "promised", until: heldUntil(this.#parts.read(), lease) };
    const answers = await Promise.all(
      this.#parts.others().map(async (node): Promise<[string, Promised]> => {
        const askedAt = this.#parts.read();
        const answer = await this.#parts.askPromise(node);
        if (answer !== "promised") return [node.tag, { kind: answer }];
        return [node.tag, { kind: "promised", until: heldUntil(askedAt, lease) }];
      }),
    );
    // The lease may have been renewed meanwhile, and then no promise is needed.
    if (right !== undefined && right === this.#right && this.mayOwn())
      this.#right = promisedBy(right, new Map([[self, asOf], ...answers]), this.#parts.read());
  }
}

/** Where this node's own answer stands among those of the others: no tag is empty. */
const self = "";
