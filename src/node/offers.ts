import { takersOf } from "../model/takers.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";
import type { Answer } from "./peer/question.ts";
import type { Peering } from "./peering.ts";
import { takeDeadlineMs } from "./taking.ts";

export interface OffersParts {
  readonly peering: Pick<Peering, "ask">;
  readonly registry: Pick<Registry, "find">;
  /** This node's tag. */
  readonly own: string;
  members(): readonly NodeRecord[];
  /** For how long a round of questions may go on: milliseconds. */
  readonly roundMs: number;
  readonly log: Log;
}

/** A session whose owner is gone, and that this node can't take up. */
export interface Offered {
  readonly id: string;
  readonly epoch: number;
  /** The incarnation of its owner, which is gone. */
  readonly of: string;
  readonly format: number | undefined;
}

/** For how long a session that nobody takes is not offered again, although requests for it wait. */
const restMs = 1_000;

/** Sessions that are known not to be taken. The oldest goes first: it is only offered, and logged, once more. */
const mostResting = 10_000;

/**
 * Offers sessions to other nodes that this one can't take up: it can't read them, because they are kept in a newer form or
 * were changed by newer code, or it stops.
 * One round for each at a time, whoever asks. Never rejects.
 */
export class Offers {
  readonly #parts: OffersParts;
  /** At most as many as there are sessions that requests wait for. */
  readonly #underWay = new Map<string, Promise<NodeRecord | undefined>>();
  readonly #restUntil = new Map<string, number>();

  constructor(parts: OffersParts) {
    this.#parts = parts;
  }

  /** Gives the node that took it. Undefined: nobody did, or somebody has it meanwhile: look again. */
  async offer(session: Offered): Promise<NodeRecord | undefined> {
    const { id } = session;
    let round = this.#underWay.get(id);
    if (round === undefined) {
      const rested = this.#restUntil.get(id);
      if (rested !== undefined && performance.now() < rested) return undefined;
      round = this.#round(session, rested === undefined).finally(() => this.#underWay.delete(id));
      this.#underWay.set(id, round);
    }
    return await round;
  }

  async #round({ id, epoch, of, format }: Offered, isFirst: boolean): Promise<NodeRecord | undefined> {
    const { peering, own, members, roundMs, log } = this.#parts;
    const end = performance.now() + roundMs;
    for (const node of takersOf(members(), { own, format })) {
      const left = end - performance.now();
      if (left <= 0) break;
      const question = { kind: "take", id, epoch, of };
      const answer = await peering.ask(node, question, Math.min(left, takeDeadlineMs));
      if (typeof answer !== "string" && answer.taken === true) {
        this.#restUntil.delete(id);
        log.info("session-handed-over", { session: id, to: node.name, epoch: epoch + 1 });
        return node;
      }
      const why = typeof answer === "string" ? answer : answer.why;
      if (isFirst) log.warn("session-not-taken", { session: id, by: node.name, why });
      const now = await this.#epochAfter(id, epoch, answer);
      if (now === undefined) return undefined;
      epoch = now;
    }
    this.#rest(id);
    return undefined;
  }

  /**
   * The epoch to offer the session with next. A node claims it before it can know that it can't read it: then it says
   * which epoch that cost. Undefined: somebody has it, or may have it soon, and is not to be robbed of it. That may be
   * the very node that was asked: it refuses for the reason that it has the session.
   */
  async #epochAfter(id: string, epoch: number, answer: Answer | string): Promise<number | undefined> {
    if (typeof answer !== "string" && typeof answer.epoch === "number") return answer.epoch;
    const record = await this.#parts.registry.find(id).catch(() => undefined);
    return record?.epoch === epoch ? epoch : undefined;
  }

  #rest(id: string): void {
    this.#restUntil.delete(id);
    this.#restUntil.set(id, performance.now() + restMs);
    if (this.#restUntil.size <= mostResting) return;
    const [oldest] = this.#restUntil.keys();
    this.#restUntil.delete(oldest as string);
  }
}
