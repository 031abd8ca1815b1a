import type { NodeRecord } from "../ports/registry.ts";
import { Drain, type DrainParts } from "./drain.ts";
import { HomeComing } from "./home-coming.ts";
import { Moves, type MovesParts } from "./moves.ts";
import { type TakingParts, takeWhatIsOffered } from "./taking.ts";

export interface MovementParts extends MovesParts, Pick<TakingParts, "promises"> {
  readonly ownTag: string;
  /** The nodes of the last table. */
  members(): readonly NodeRecord[];
  /** How long a drain may take: milliseconds. */
  readonly deadlineMs: number;
  /** Sessions that are handed over per second. */
  readonly pace: number;
}

/** How long another node may take to say how many sessions it has. */
const loadDeadlineMs = 500;

/** Moves sessions when the node's state asks for it: away while it drains, and else those home whose homes are back. */
export class Movement {
  readonly #parts: MovementParts;
  readonly #moves: Moves;
  readonly #homeComing: HomeComing;
  readonly #departures: Pick<DrainParts, "depart" | "room"> = {
    depart: (session, journey) => this.#moves.depart(session, journey),
    room: () => this.#moves.room,
  };
  #drain: Drain | undefined;
  #stopped = false;

  constructor(parts: MovementParts) {
    this.#parts = parts;
    const { keeper, peering } = parts;
    this.#moves = new Moves(parts);
    this.#homeComing = new HomeComing({ ...parts, ...this.#departures });
    takeWhatIsOffered({ ...parts, mayTake: () => this.#drain === undefined });
    peering.onQuestion("load", () => ({ sessions: keeper.size }));
  }

  /** Begins to send sessions home. */
  start(): void {
    if (this.#drain === undefined) this.#homeComing.start();
  }

  /** How many sessions are to leave still; undefined while no drain is under way. */
  get left(): number | undefined {
    return this.#drain?.left;
  }

  /**
   * Begins to hand all sessions over; does nothing while that is under way. A drain that is over begins anew: whoever
   * wants another one, a stop say, is to have its time for what has come here since.
   */
  drain(): void {
    if (this.#drain?.isOver === false) return;
    this.#homeComing.stop();
    void this.#drain?.cancel();
    this.#drain = new Drain({ ...this.#parts, ...this.#departures, loadOf: (node) => this.#loadOf(node) });
  }

  /** Resolves when the drain under way is over; at once where nobody else is up to take a session. */
  async drained(): Promise<void> {
    await this.#drain?.done();
  }

  /** Ends the drain: sessions that have not left stay, and those that have come home. */
  async cancel(): Promise<void> {
    const drain = this.#drain;
    // At once: a drain that is wanted before this one has come to its end is another one.
    this.#drain = undefined;
    await drain?.cancel();
    if (this.#drain === undefined && !this.#stopped) this.#homeComing.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#homeComing.stop();
    await this.#drain?.cancel();
    this.#moves.stop();
  }

  async #loadOf(node: NodeRecord): Promise<number> {
    const answer = await this.#parts.peering.ask(node, { kind: "load" }, loadDeadlineMs);
    return typeof answer === "object" && typeof answer.sessions === "number" ? answer.sessions : 0;
  }
}
