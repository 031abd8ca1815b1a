import { randomBytes } from "node:crypto";
import { locate, type RegistryAnswer } from "../model/locate.ts";
import type { RefusalReason } from "../model/refusal.ts";
import { mintSessionId, parseSessionId, randomBytesPerId } from "../model/session-id.ts";
import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import type { DeferredWrites } from "../registry/deferred-writes.ts";
import type { Renewals } from "../registry/renewals.ts";
import { Session, type SessionHost } from "../session/session.ts";
import type { NodeMetrics } from "./metrics.ts";
import { type Ending, SessionTable } from "./session-table.ts";

export interface SessionKeeperParts {
  readonly host: SessionHost;
  readonly incarnation: string;
  readonly registry: Registry;
  readonly writes: DeferredWrites;
  readonly renewals: Renewals;
  readonly metrics: NodeMetrics;
  readonly log: Log;
}

/** How the beginning of a session went. `failed`: the person's own code threw, which has been logged. */
export type Opened =
  | { readonly kind: "opened"; readonly session: Session }
  | { readonly kind: "failed" }
  | { readonly kind: "stopping" };

/** How long a stopping node waits for calls that have begun. */
const lastCallsMs = 5_000;

/** Opens, finds and ends the sessions of a node: the local map, the registry, and what is between them. */
export class SessionKeeper {
  readonly #parts: SessionKeeperParts;
  readonly #table = new SessionTable();
  readonly #stopListening: () => void;
  #stopping = false;

  constructor(parts: SessionKeeperParts) {
    this.#parts = parts;
    this.#stopListening = parts.registry.onClosed((id) => this.#drop(id, "closed"));
  }

  get(id: string): Session | undefined {
    return this.#table.get(id);
  }

  all(): Session[] {
    return this.#table.all();
  }

  get size(): number {
    return this.#table.size;
  }

  /** Calls that have begun and not ended. */
  get inFlight(): number {
    return this.#table.all().reduce((sum, session) => sum + session.transport.inFlight, 0);
  }

  ending(id: string, now: number): Ending | undefined {
    return this.#table.ending(id, now);
  }

  /** Begins a session for a client. */
  async open(client: string): Promise<Opened> {
    const { host, incarnation, writes, metrics, log } = this.#parts;
    const { tag } = host.node;
    const id = mintSessionId(tag, randomBytes(randomBytesPerId));
    let session: Session;
    if (this.#stopping) return { kind: "stopping" };
    try {
      session = await Session.open(host, { id, epoch: 1, client });
    } catch (error) {
      log.error("server-error", {
        session: id,
        error: error instanceof Error ? (error.stack ?? error.message) : error,
      });
      return { kind: "failed" };
    }
    if (this.#stopping) {
      // The person's own code took its time, and nothing would end this session any more.
      await session.close();
      return { kind: "stopping" };
    }
    this.#table.add(session);
    const { createdAt } = session;
    await writes.claim({ id, owner: { tag, incarnation }, epoch: 1, createdAt, client });
    metrics.sessionOpened();
    log.info("session-opened", { session: id, client });
    return { kind: "opened", session };
  }

  /** Notes that a session is in use. */
  touched(session: Session): void {
    session.lastSeenAt = this.#parts.host.now();
    this.#parts.renewals.touched(session.id);
  }

  /** What the registry says of a session that this node doesn't hold. */
  async askRegistry(id: string): Promise<RegistryAnswer> {
    const { registry, incarnation } = this.#parts;
    // Whatever a client makes up: the registry need not be asked about what no node can have minted.
    if (parseSessionId(id) === undefined) return "none";
    try {
      const record = await registry.find(id);
      if (record === undefined) return "none";
      const { owner } = record;
      // Named as the owner of what it doesn't hold, this node must not send the client back to itself.
      if (owner.incarnation === incarnation) return { owner, ownerIsUp: false };
      const node = await registry.node(owner.tag);
      return { owner, ownerIsUp: node?.incarnation === owner.incarnation };
    } catch {
      this.#parts.metrics.registryFailed();
      return "unreachable";
    }
  }

  /**
   * Ends a session wherever it lives: the local copy, the registry's entry, and by the registry's word the copy of
   * any other node. Gives the reason when there is nothing to end.
   */
  async close(id: string): Promise<RefusalReason | undefined> {
    if (parseSessionId(id) === undefined) return "unknown";
    const ended = this.#table.ending(id, this.#parts.host.now());
    if (this.#drop(id, "closed")) {
      await this.#parts.writes.close(id);
      return undefined;
    }
    if (ended !== undefined) return ended;
    return this.#closeElsewhere(id);
  }

  /** A close of what is not here is not kept for later: whoever makes ids up could push out real writes with them. */
  async #closeElsewhere(id: string): Promise<RefusalReason | undefined> {
    try {
      return (await this.#parts.registry.close(id)) ? undefined : "unknown";
    } catch {
      this.#parts.metrics.registryFailed();
      return "misrouted";
    }
  }

  /** Whether this node can serve a session; one that exists only in the registry is logged as a mismatch. */
  async has(id: string): Promise<boolean> {
    if (this.#table.get(id) !== undefined) return true;
    const known = await this.askRegistry(id);
    const location = locate({ local: this.#table.get(id) !== undefined, registry: known });
    if (location.kind === "here") return true;
    if (location.kind === "refuse" && location.owner !== undefined) {
      const { reason, owner } = location;
      this.#parts.log.warn("misrouted", { session: id, reason, owner: owner.tag });
    }
    return false;
  }

  /** Ends all local copies, after calls in flight have had a little time. Their entries stay: the node left, they didn't. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stopListening();
    await this.#lastCalls();
    await Promise.all(this.#table.clear().map((session) => session.close()));
  }

  /** Ends all local copies at once: another incarnation of this node has taken its name. */
  async giveUp(): Promise<void> {
    this.#stopping = true;
    this.#stopListening();
    await Promise.all(this.#table.clear().map((session) => session.close()));
  }

  async #lastCalls(): Promise<void> {
    const deadline = performance.now() + lastCallsMs;
    while (this.inFlight > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends the local copy. Gives whether there was one. */
  #drop(id: string, ending: Ending): boolean {
    const session = this.#table.end(id, ending, this.#parts.host.now());
    if (session === undefined) return false;
    this.#parts.renewals.forget(id);
    this.#parts.metrics.sessionEnded(ending);
    void session.close().then((error) => {
      this.#parts.log.info("session-closed", { session: id, ending, ...(error && { error: error.message }) });
    });
    return true;
  }
}
