import { nextPace, startPace } from "../model/drain.ts";
import { canRead } from "../model/formats.ts";
import { type Guest, homeComings, nextUpSince, type UpSince } from "../model/home-coming.ts";
import type { NodeRecord } from "../ports/registry.ts";
import type { Session } from "../session/session.ts";
import type { Departed, Journey } from "./moves.ts";
import type { SessionKeeper } from "./session-keeper.ts";

export interface HomeComingParts {
  readonly ownTag: string;
  readonly keeper: SessionKeeper;
  /** The nodes of the last table. */
  members(): readonly NodeRecord[];
  /** Never rejects. */
  depart(session: Session, journey: Journey): Promise<Departed>;
  /** How many may begin to leave now. */
  room(): number;
  /** Sessions per second. */
  readonly pace: number;
}

/** A guest, and the session that it is. */
interface GuestHere extends Guest {
  readonly session: Session;
}

/** How a home did not take a session. */
interface Failed {
  readonly triedAt: number;
  readonly barredBy: string | undefined;
}

const lookEveryMs = 50;
const times = { settleMs: 2_000, restMs: 3_000 };

/** Sends sessions home that came here while their homes were away: there they are on the first hop of their clients. */
export class HomeComing {
  readonly #parts: HomeComingParts;
  readonly #underWay = new Set<string>();
  /** Of sessions that are here. */
  readonly #failed = new Map<string, Failed>();
  #upSince: ReadonlyMap<string, UpSince> = new Map();
  #pace = startPace(performance.now());
  #timer: NodeJS.Timeout | undefined;
  #cancel = new AbortController();

  constructor(parts: HomeComingParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#cancel = new AbortController();
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  /** While the node drains, its sessions leave for wherever they can. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#cancel.abort();
  }

  #look(): void {
    const { ownTag, keeper, members, pace, room } = this.#parts;
    const now = performance.now();
    this.#upSince = nextUpSince(this.#upSince, members(), now);
    const guests: GuestHere[] = [];
    for (const id of this.#failed.keys()) if (!keeper.has(id)) this.#failed.delete(id);
    for (const session of keeper.all()) {
      const { id, home, arrivedAt } = session;
      if (home === ownTag || session.pinned !== undefined || this.#underWay.has(id)) continue;
      guests.push({ id, home, since: arrivedAt, ...this.#failed.get(id), session });
    }
    const ready = homeComings(guests, { homes: this.#upSince, now, ...times });
    const next = nextPace(this.#pace, {
      now,
      perSecond: pace,
      left: ready.length,
      endsAt: Number.POSITIVE_INFINITY,
    });
    this.#pace = next.pace;
    for (const { session } of ready.slice(0, Math.min(next.begin, room()))) void this.#send(session);
  }

  async #send(session: Session): Promise<void> {
    const { id, home } = session;
    this.#underWay.add(id);
    const departed = await this.#parts.depart(session, {
      next: (refusedBy) => (refusedBy.has(home) ? undefined : this.#home(session)),
      began: performance.now(),
      deadlineMs: Number.POSITIVE_INFINITY,
      signal: this.#cancel.signal,
    });
    this.#underWay.delete(id);
    if (departed.kind !== "stayed") {
      this.#failed.delete(id);
      return;
    }
    const why = departed.refusedBy.get(home);
    const barredBy = why === "failed" || why === "unreadable" ? this.#upSince.get(home)?.incarnation : undefined;
    this.#failed.set(id, { triedAt: performance.now(), barredBy });
  }

  #home({ home, format }: Session): NodeRecord | undefined {
    const node = this.#parts.members().find(({ tag }) => tag === home);
    // It may drain again since the session's turn came: its copy here is not ended to be told so.
    return node?.state === "up" && canRead(node.reads, format) ? node : undefined;
  }
}
