import type { Adopted } from "./adoptions.ts";
import type { Generations } from "./generations.ts";
import type { OwnerNotes } from "./owner-notes.ts";
import type { Answer, Question } from "./peer/question.ts";
import type { Peering } from "./peering.ts";
import type { PromisesMade } from "./promises.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import { Turns } from "./turns.ts";

export interface TakingParts {
  readonly keeper: SessionKeeper;
  readonly notes: OwnerNotes;
  readonly generations: Generations;
  readonly promises: PromisesMade;
  readonly peering: Pick<Peering, "onQuestion">;
  /** Whether this node takes sessions over: it is up, and not about to leave. */
  mayTake(): boolean;
}

/** Why a node did not take a session that it was offered. `silent`: nothing came, and it may have taken it. */
export type Refusal = "silent" | Exclude<Adopted["kind"], "adopted">;

/** How long a node may take to restore a session that it is offered. */
export const takeDeadlineMs = 5_000;

/** How many sessions are restored at a time that others hand over: between them the node serves, and renews its lease. */
const mostTaking = 8;

/** Lets a node take the sessions that others offer it, a few at a time. */
export function takeWhatIsOffered(parts: TakingParts): void {
  const turns = new Turns(mostTaking, takeDeadlineMs);
  parts.peering.onQuestion("take", (question) => take(parts, turns, question));
}

/**
 * Another node offers a session: its own one, or one of an owner that is gone (`of`: that owner's incarnation), which
 * it can't take up itself. It may ask the same twice.
 */
async function take(parts: TakingParts, turns: Turns, { id, epoch, of }: Question): Promise<Answer> {
  const { keeper, notes, generations, promises, mayTake } = parts;
  const mayNotNow = () => !mayTake() || generations.quiet || (typeof of === "string" && promises.holds(of));
  const refused = (why: Refusal, now?: number): Answer => ({
    taken: false,
    why,
    ...(now !== undefined && { epoch: now }),
  });
  if (typeof id !== "string" || typeof epoch !== "number") return refused("failed");
  const adopted = await turns.run<Adopted>(async () =>
    mayNotNow() ? { kind: "not-now" } : await keeper.adopt(id, epoch, "handed-over"),
  );
  if (adopted.kind === "adopted" || keeper.get(id)?.epoch === epoch + 1) {
    notes.delete(id);
    return { taken: true };
  }
  return refused(adopted.kind, "epoch" in adopted ? adopted.epoch : undefined);
}
