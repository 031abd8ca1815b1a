import { boundUntil, isUnbound, type Reading, type Until } from "../model/lease.ts";
import type { Owner } from "../model/locate.ts";
import type { NodeRecord } from "../ports/registry.ts";
import type { Peering } from "./peering.ts";

export interface PromisesMadeParts {
  /** For how long a promise holds: milliseconds. */
  readonly lease: number;
  read(): Reading;
  /** Whether the registry answers this node. Ends within a deadline; never rejects. */
  hasRegistry(): Promise<boolean>;
}

/**
 * What this node has promised to others: to adopt no session of theirs for a lease. It promises only while the registry
 * does not answer it either; a node that has the registry may adopt, and says so by not promising.
 */
export class PromisesMade {
  readonly #parts: PromisesMadeParts;
  /** By incarnation. At most as many as there are nodes, and each for a lease. */
  readonly #until = new Map<string, Until>();

  constructor(parts: PromisesMadeParts) {
    this.#parts = parts;
  }

  /** Answers a node that asks for a promise. */
  async ask(incarnation: string): Promise<boolean> {
    if (await this.#parts.hasRegistry()) return false;
    const now = this.#parts.read();
    for (const [other, until] of this.#until) if (isUnbound(until, now)) this.#until.delete(other);
    this.#until.set(incarnation, boundUntil(now, this.#parts.lease));
    return true;
  }

  /** Whether sessions of an incarnation must be left alone. */
  holds(incarnation: string): boolean {
    const until = this.#until.get(incarnation);
    return until !== undefined && !isUnbound(until, this.#parts.read());
  }
}

/** Lets a node answer others that ask it for a promise. */
export function answerPromises(peering: Pick<Peering, "onQuestion">, made: PromisesMade): void {
  peering.onQuestion("promise", async ({ incarnation }) => ({ promised: await made.ask(String(incarnation)) }));
}

/** How long another node may take to answer whether it promises: it may have to find out that its registry is away. */
const answerDeadlineMs = 2_000;

/** Asks another node to adopt none of an owner's sessions for a lease. Never rejects. */
export async function askPromise(
  peering: Peering | undefined,
  node: NodeRecord,
  { tag, incarnation }: Owner,
): Promise<"promised" | "dead" | "silent"> {
  const answer = await peering?.ask(node, { kind: "promise", tag, incarnation }, answerDeadlineMs);
  if (answer === "refused") return node.direct === true ? "dead" : "silent";
  return typeof answer === "object" && answer.promised === true ? "promised" : "silent";
}
