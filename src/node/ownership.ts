import {
  heldUntil,
  isOver,
  isPromised,
  mayOwn,
  type Promised,
  promisedBy,
  type Reading,
  type Right,
  renewed,
} from "../model/lease.ts";
import type { NodeRecord } from "../ports/registry.ts";
import { Listeners } from "../registry/listeners.ts";

export interface OwnershipParts {
  /** For how long a lease, and a promise of another node, holds: milliseconds. */
  readonly lease: number;
  /** How often the lease is renewed: milliseconds. */
  readonly renew: number;
  /** In the policy `reject` nobody adopts, so that an owner has nothing to give up. */
  readonly policy: "resume" | "reject";
  read(): Reading;
  /** The other nodes that may live. */
  others(): readonly NodeRecord[];
  /** Asks one of them to adopt nothing of this node's for a lease. Ends within a deadline; never rejects. */
  askPromise(node: NodeRecord): Promise<"promised" | "dead" | "silent">;
  /** Asks the registry for the lease now: {@link Ownership.renewed} or {@link Ownership.notRenewed} tells what came of it. */
  askLease(): void;
  /** The right is over: every session has to be given up. Called once for each time that it ends. */
  onOver(): void;
}

/** From when on a write to the registry counts as late, in milliseconds. It takes a few where all is well. */
const lateMs = 100;

/** This node's right to own sessions: its lease, and beyond it the promises of the others (model/lease.ts). */
export class Ownership {
  readonly #parts: OwnershipParts;
  readonly #promised = new Listeners<void>();
  #right: Right | undefined;
  #over = false;
  #ends = 0;
  /** When it joined, the last time after its lease had run out: monotonic. */
  #joinedAt = Number.POSITIVE_INFINITY;
  /** Whether a list of the nodes was asked for since it joined: before, it knows nobody to ask. */
  #knowsAll = false;
  /** Whether the registry did not answer, or answered late, since it gave the lease. */
  #inDoubt = false;
  #asking: Promise<void> | undefined;
  /** When the others were asked last: monotonic. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #again: NodeJS.Timeout | undefined;
  #stopped = false;

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

  /**
   * Whether nobody else will adopt this node's sessions, because the registry is gone for everybody: then what can't be
   * written may leave all the same.
   */
  get isPromised(): boolean {
    if (this.#parts.policy === "reject") return true;
    return this.#right !== undefined && !this.#over && isPromised(this.#right, this.#parts.read());
  }

  /** Calls back whenever {@link isPromised} has become true, or was asked for again. Gives the way to stop it. */
  onPromised(listener: () => void): () => void {
    return this.#promised.add(listener);
  }

  /**
   * Whether it joined, or joined again, less than a lease ago. An owner that is silent may live by the promises of nodes
   * that lost the registry with it, and did not ask this one.
   */
  get isNewcomer(): boolean {
    return this.#parts.policy !== "reject" && this.#parts.read().monotonic < this.#joinedAt + this.#parts.lease;
  }

  /** The registry gave the lease (again), when it was asked at that time. */
  renewed(askedAt: Reading): void {
    // Nobody may have looked since the former right ended: what it gave ends with it.
    this.mayOwn();
    const right = renewed(askedAt, this.#parts.lease);
    if (this.#right === undefined) this.#joinedAt = this.#parts.read().monotonic;
    // An answer that took longer than the lease gives no right.
    if (isOver(right.lease, this.#parts.read())) {
      this.#right ??= right;
      return;
    }
    this.#right = right;
    this.#over = false;
    this.#inDoubt = false;
    clearTimeout(this.#again);
    this.#again = undefined;
  }

  /** It joined again: its lease had run out in the registry, whether or not its right had. */
  rejoined(): void {
    this.#joinedAt = this.#parts.read().monotonic;
  }

  /** The registry listed its nodes, when it was asked at that time: monotonic. */
  listed(askedAt: number): void {
    if (askedAt >= this.#joinedAt) this.#knowsAll = true;
  }

  /** The registry did not answer: asks every other node for its promise. Never rejects. */
  async notRenewed(): Promise<void> {
    if (this.#parts.policy === "reject" || !this.mayOwn()) return;
    this.#inDoubt = true;
    if (this.#isDue) await this.#ask();
    else await this.#asking;
    this.mayOwn();
  }

  /**
   * Watches a call to the registry. One that is late, or fails, is a sign that the registry is away: it is asked at once
   * for the lease, and the others for their promises, so that nothing waits for the next renewal. Passes on what came.
   */
  async watch<T>(call: Promise<T>): Promise<T> {
    const late = setTimeout(() => this.doubt(), lateMs).unref();
    try {
      return await call;
    } catch (error) {
      this.doubt();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  /** The registry may be away. Called often. */
  doubt(): void {
    if (this.#stopped || this.#parts.policy === "reject" || !this.mayOwn()) return;
    if (this.#isDue) this.#look();
    else if (!this.#inDoubt) this.#lookAgain();
    this.#inDoubt = true;
  }

  stop(): void {
    this.#stopped = true;
    this.#inDoubt = false;
    clearTimeout(this.#again);
  }

  /** What is promised is asked for as often as the lease; what is not, more often: answers wait for it. */
  get #askEveryMs(): number {
    const { renew } = this.#parts;
    return this.isPromised ? renew : renew / 4;
  }

  get #isDue(): boolean {
    // A little sooner, so that a renewal and a timer that come in one moment ask once, and not each other time.
    return this.#parts.read().monotonic - this.#askedAt > this.#askEveryMs * 0.9;
  }

  async #ask(): Promise<void> {
    this.#asking ??= this.#askAll().finally(() => {
      this.#asking = undefined;
      if (this.#inDoubt) this.#lookAgain();
      if (this.isPromised) this.#promised.tell();
    });
    await this.#asking;
  }

  #look(): void {
    void this.#ask();
    this.#parts.askLease();
  }

  #lookAgain(): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (this.#inDoubt && this.mayOwn()) this.#look();
    }, this.#askEveryMs).unref();
  }

  async #askAll(): Promise<void> {
    const { lease, read, others, askPromise } = this.#parts;
    this.#askedAt = read().monotonic;
    // There may be a node that lives and was not listed yet: it would not be asked.
    if (!this.#knowsAll) return;
    const right = this.#right;
    const promised = (askedAt: Reading): Promised => ({ kind: "promised", until: heldUntil(askedAt, lease) });
    // Also where there is nobody to ask, what is true now is not true for ever.
    const asOf = promised(read());
    const answers = await Promise.all(
      others().map(async (node): Promise<[string, Promised]> => {
        const askedAt = read();
        const answer = await askPromise(node);
        return [node.tag, answer === "silent" ? { kind: answer } : promised(askedAt)];
      }),
    );
    // The lease may have been renewed meanwhile, and then no promise is needed.
    if (right !== undefined && right === this.#right && this.mayOwn())
      this.#right = promisedBy(right, new Map([[self, asOf], ...answers]), read());
  }
}

/** Where this node's own answer stands among those of the others: no tag is empty. */
const self = "";
