import { setTimeout as sleep } from "node:timers/promises";
import { nextPace, startPace } from "../model/drain.ts";
import { canRead } from "../model/formats.ts";
import { place } from "../model/placement.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord } from "../ports/registry.ts";
import type { Session } from "../session/session.ts";
import type { Departed, Journey } from "./moves.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { Refusal } from "./taking.ts";

export interface DrainParts {
  readonly ownTag: string;
  readonly keeper: SessionKeeper;
  /** The nodes of the last table. */
  members(): readonly NodeRecord[];
  /** How many sessions another node has; 0 when it does not say. Ends within a deadline; never rejects. */
  loadOf(node: NodeRecord): Promise<number>;
  /** Never rejects. */
  depart(session: Session, journey: Journey): Promise<Departed>;
  /** How many may begin to leave now. */
  room(): number;
  /** Milliseconds. */
  readonly deadlineMs: number;
  /** Sessions per second. */
  readonly pace: number;
  readonly log: Log;
}

const lookEveryMs = 25;

/** When a session that nobody took is offered again. */
const againMs = 1_000;

/** How much longer than its deadline a drain takes at most: what is cut then has to be taken by somebody. */
const lastMovesMs = 5_000;

/**
 * One drain of a node: all its sessions go elsewhere, at a pace, and within its deadline. It goes on for sessions that
 * begin here meanwhile, as long as some edge sends new clients, until it is cancelled: after the deadline without cutting
 * calls.
 */
export class Drain {
  readonly #parts: DrainParts;
  readonly #cancel = new AbortController();
  readonly #began = performance.now();
  /** How many sessions each node has: what it said, and what went there since. */
  readonly #loads = new Map<string, number>();
  /** Sessions whose turn came, and since when those wait that nobody took. */
  readonly #underWay = new Set<string>();
  readonly #refusedAt = new Map<string, number>();
  /** The starts of nodes that can't take a session up, by session: their code does not change. */
  readonly #barred = new Map<string, Set<string>>();
  readonly #run: Promise<void>;
  #isOver = false;

  constructor(parts: DrainParts) {
    this.#parts = parts;
    this.#run = this.#go();
  }

  /**
   * How many sessions are to leave still; undefined when all have left that could in time, when it was cancelled, and
   * where no other node is up: then they stay.
   */
  get left(): number | undefined {
    return this.#isOver || !this.#hasPlaces ? undefined : this.#parts.keeper.size;
  }

  /** Whether all have left that could in time, or it was cancelled. What comes here still leaves as well. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get #hasPlaces(): boolean {
    return this.#parts.members().some((node) => node.state === "up" && node.tag !== this.#parts.ownTag);
  }

  /** Resolves when {@link left} is undefined. */
  async done(): Promise<void> {
    while (this.left !== undefined) await sleep(lookEveryMs);
  }

  /** Sessions that have not left stay. */
  async cancel(): Promise<void> {
    this.#cancel.abort();
    await this.#run;
  }

  async #go(): Promise<void> {
    const { keeper, pace, deadlineMs, room, log } = this.#parts;
    const { signal } = this.#cancel;
    const sessions = keeper.size;
    await this.#askLoads();
    let turn = startPace(performance.now());
    while (!signal.aborted) {
      const now = performance.now();
      // Where nobody could take them, their calls are not to wait for nothing.
      const ready = this.#hasPlaces ? keeper.all().filter(({ id }) => this.#isReady(id, now)) : [];
      const endsAt = this.#isOver ? Number.POSITIVE_INFINITY : this.#began + deadlineMs;
      const next = nextPace(turn, { now, perSecond: pace, left: ready.length, endsAt });
      turn = next.pace;
      const begin = now >= endsAt ? next.begin : Math.min(next.begin, room());
      for (const session of ready.slice(0, begin)) void this.#send(session);
      if (!this.#isOver && this.#hasEnded(now)) {
        this.#isOver = true;
        log.info("drain-over", { sessions, left: keeper.size, ms: Math.round(now - this.#began) });
      }
      await sleep(lookEveryMs);
    }
    this.#isOver = true;
  }

  #isReady(id: string, now: number): boolean {
    return !this.#underWay.has(id) && now - (this.#refusedAt.get(id) ?? Number.NEGATIVE_INFINITY) >= againMs;
  }

  #hasEnded(now: number): boolean {
    if (this.#parts.keeper.size === 0 && this.#underWay.size === 0) return true;
    const overdueMs = now - this.#began - this.#parts.deadlineMs;
    return overdueMs >= 0 && (this.#underWay.size === 0 || overdueMs >= lastMovesMs);
  }

  async #send(session: Session): Promise<void> {
    const { id } = session;
    this.#underWay.add(id);
    const journey: Journey = {
      next: (barred) => this.#next(session, barred),
      began: this.#began,
      // Those that come later, or that somebody takes at last, leave without hurry.
      deadlineMs: this.#isOver ? Number.POSITIVE_INFINITY : this.#parts.deadlineMs,
      signal: this.#cancel.signal,
    };
    const departed = await this.#parts.depart(session, journey);
    this.#underWay.delete(id);
    this.#refusedAt.delete(id);
    if (departed.kind !== "stayed") {
      this.#barred.delete(id);
      return;
    }
    this.#refusedAt.set(id, performance.now());
    this.#bar(id, departed.refusedBy);
  }

  /** To offer it there again would end its copy here for nothing. */
  #bar(id: string, refusedBy: ReadonlyMap<string, Refusal>): void {
    const barred = this.#barred.get(id) ?? new Set();
    for (const { tag, incarnation } of this.#parts.members()) {
      const why = refusedBy.get(tag);
      if (why === "unreadable" || why === "failed") barred.add(incarnation);
    }
    if (barred.size > 0) this.#barred.set(id, barred);
  }

  #next({ id, home, format }: Session, refusedBy: ReadonlyMap<string, unknown>): NodeRecord | undefined {
    const { ownTag, members } = this.#parts;
    const barred = this.#barred.get(id);
    const nodes = members().filter(
      ({ incarnation, reads }) => canRead(reads, format) && barred?.has(incarnation) !== true,
    );
    const places = nodes.map(({ tag, state }) => ({ tag, state, load: this.#loads.get(tag) ?? 0 }));
    const placement = place({ home, barred: new Set(refusedBy.keys()) }, places, ownTag);
    if (placement.kind === "stay") return undefined;
    this.#loads.set(placement.to, (this.#loads.get(placement.to) ?? 0) + 1);
    return nodes.find(({ tag }) => tag === placement.to);
  }

  async #askLoads(): Promise<void> {
    const { ownTag, members, loadOf } = this.#parts;
    const others = members().filter(({ tag, state }) => tag !== ownTag && state === "up");
    const loads = await Promise.all(others.map(loadOf));
    for (const [index, { tag }] of others.entries()) this.#loads.set(tag, loads[index] as number);
  }
}
