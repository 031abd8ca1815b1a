import type { Session } from "../session/session.ts";
import { IdleWalk } from "./idle-walk.ts";
import { ParkedSessions } from "./parked-sessions.ts";
import { Parking, type ParkingParts } from "./parking.ts";
import type { Ending, SessionTable } from "./session-table.ts";

export interface IdleSessionsParts extends Omit<ParkingParts, "parked"> {
  /** This node's own start. */
  readonly incarnation: string;
  readonly table: SessionTable;
  /** A session that lives here, and that this node may act for. */
  session(id: string): Session | undefined;
  /** Whether a session is being restored here just now. */
  isUnderWay(id: string): boolean;
  /** Somebody waits for a session, or listens. */
  inUse(session: Session): void;
  /** Ends a session that lives here, and that nobody has used for too long. Never rejects. */
  expire(session: Session): Promise<void>;
}

/**
 * The sessions of a node that nobody uses: they are parked, come back with their next requests, and end when nobody has
 * used them for too long.
 */
export class IdleSessions {
  readonly #parts: IdleSessionsParts;
  /** Those that left memory, and come back here with their next requests. */
  readonly parked = new ParkedSessions();
  readonly #parking: Parking;
  readonly #walk: IdleWalk;

  constructor(parts: IdleSessionsParts) {
    this.#parts = parts;
    const { table } = parts;
    this.#parking = new Parking({ ...parts, parked: this.parked });
    this.#walk = new IdleWalk({
      ...{ ...parts, parking: this.#parking, parked: this.parked },
      sessions: () => table.values(),
      size: () => table.size,
      expireParked: (ids) => this.#expireParked(ids),
    });
  }

  /** Begins to look for them. */
  start(): void {
    this.#walk.start();
  }

  /** Begins nothing more, and waits for what is under way. */
  async stop(): Promise<void> {
    await Promise.all([this.#walk.stop(), this.#parking.stop()]);
  }

  /** A session that is parked here, as far as this node knows, has ended. */
  endParked(id: string, ending: Ending): void {
    if (!this.parked.delete(id)) return;
    const { table, now, metrics, log } = this.#parts;
    table.remember(id, ending, now());
    metrics.sessionEnded(ending);
    log.info("session-closed", { session: id, ending, parked: true });
  }

  /** Those that another node has adopted meanwhile are not this node's to end. */
  async #expireParked(ids: readonly string[]): Promise<void> {
    const { registry, writes, metrics, incarnation, isUnderWay } = this.#parts;
    try {
      const owners = await registry.owners(ids);
      for (const [index, id] of ids.entries()) {
        // Its next request may have come meanwhile.
        if (!this.parked.has(id) || isUnderWay(id)) continue;
        if (owners[index]?.owner.incarnation !== incarnation) this.parked.delete(id);
        else {
          this.endParked(id, "expired");
          await writes.close(id);
        }
      }
    } catch {
      // Their notes stay, so that the next round finds them again; and their TTLs end them in any case.
      metrics.registryFailed();
    }
  }
}
