import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { ownFormats } from "../model/formats.ts";
import type { IdleTimes } from "../model/idle.ts";
import type { RefusalReason } from "../model/refusal.ts";
import { mintSessionId, parseSessionId, randomBytesPerId } from "../model/session-id.ts";
import type { Log } from "../ports/log.ts";
import type { Fence, Principal, Registry } from "../ports/registry.ts";
import type { ClaimLost, DeferredWrites } from "../registry/deferred-writes.ts";
import type { Renewals } from "../registry/renewals.ts";
import { Session, type SessionHost } from "../session/session.ts";
import type { SessionStore } from "../session/session-store.ts";
import { endsWithin } from "../session/wait-bounded.ts";
import { type Adopted, Adoptions, adoptionWaitMs, type From } from "./adoptions.ts";
import { Gates } from "./gates.ts";
import type { Generations } from "./generations.ts";
import { IdleSessions } from "./idle-sessions.ts";
import type { NodeMetrics } from "./metrics.ts";
import { NewSessions } from "./new-sessions.ts";
import type { Ownership } from "./ownership.ts";
import type { ParkedSessions } from "./parked-sessions.ts";
import { SessionEntries } from "./session-entries.ts";
import { type Ending, SessionTable } from "./session-table.ts";

export interface SessionKeeperParts {
  readonly host: SessionHost;
  readonly incarnation: string;
  /** Whether sessions outlive their node: then all that an adopter needs is kept in the registry. */
  readonly keeps: boolean;
  readonly registry: Registry;
  readonly writes: DeferredWrites;
  readonly renewals: Renewals;
  readonly ownership: Ownership;
  readonly generations: Generations;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  readonly idle: IdleTimes;
  /** Where this node's peer link is, once it is open. */
  peer(): string | undefined;
}

/** Who begins a session, and with which words. */
export interface Beginning {
  /** "name/version". */
  readonly client: string;
  readonly principal: Principal | undefined;
  /** The `initialize` request, as JSON. */
  readonly initialize: string;
}

/** How the beginning of a session went. `failed`: the person's own code threw, which has been logged. */
export type Opened =
  | { readonly kind: "opened"; readonly session: Session }
  | { readonly kind: "failed" }
  | { readonly kind: "stopping" }
  /** This node may not own sessions just now: it lost its registry, and others have not. */
  | { readonly kind: "no-right" }
  /** The registry is away, and nobody knows yet whether from this node alone. */
  | { readonly kind: "not-noted" };

/** How long a stopping node waits for calls that have begun. */
const lastCallsMs = 5_000;

/** Opens, adopts, finds and ends the sessions of a node. */
export class SessionKeeper {
  readonly #parts: SessionKeeperParts;
  readonly #table = new SessionTable();
  /** Of those that are about to leave. */
  readonly gates = new Gates();
  /** What the registry has of them. */
  readonly entries: SessionEntries;
  /** Those that left memory, and come back here with their next requests. */
  readonly parked: ParkedSessions;
  readonly #idle: IdleSessions;
  readonly #adoptions: Adoptions;
  readonly #newSessions: NewSessions;
  readonly #stopListening: (() => void)[];
  readonly #stop = new AbortController();

  constructor(parts: SessionKeeperParts) {
    this.#parts = parts;
    // One for each session that begins or is taken up just now; Node 20 takes more than ten for a leak.
    setMaxListeners(0, this.#stop.signal);
    const { host, registry, ownership, metrics, log } = parts;
    const owner = () => ({ owner: this.#owner, peer: parts.peer() });
    this.entries = new SessionEntries({
      ...parts,
      owner,
      sessions: () => this.#table.all(),
      session: (id) => this.#table.get(id),
      closed: (id) => this.#closed(id),
      lost: (id, by) => this.#lost(id, by),
    });
    this.#adoptions = new Adoptions({
      ...{ host, registry, ownership, log, metrics, reads: ownFormats },
      owner,
      store: (id, fence) => this.entries.storeOf(id, fence) as SessionStore,
      generation: () => parts.generations.known,
      add: (session, generation) => this.#add(session, generation),
      stopping: this.#stop.signal,
    });
    this.#idle = new IdleSessions({
      ...{ ...parts, times: parts.idle, table: this.#table, gates: this.gates },
      now: () => host.now(),
      holds: (session) => this.holds(session),
      release: (session) => this.release(session),
      // Thawed, a node finds its sessions idle before it finds out that they are other nodes'.
      session: (id) => this.get(id),
      isUnderWay: (id) => this.#adoptions.underWay(id) !== undefined,
      inUse: (session) => this.touched(session),
      expire: ({ id }) => this.#expire(id),
    });
    this.parked = this.#idle.parked;
    const { holdMs, strict = false } = host;
    this.#newSessions = new NewSessions({ ...parts, holdMs, strict });
    this.#stopListening = [
      registry.onClosed((id) => this.#closed(id)),
      parts.generations.onLost(() => {
        // With the entries of the others, theirs are lost.
        this.parked.clear();
        void this.entries.writeAll();
      }),
    ];
  }

  /** Begins to look for idle sessions. */
  start(): void {
    this.#idle.start();
  }

  /** A session that this node holds, and may act for as its owner. */
  get(id: string): Session | undefined {
    const session = this.#table.get(id);
    if (session === undefined || this.gates.how(id) === "all") return undefined;
    // Asked last: it ends all copies when the answer is no.
    return this.#parts.ownership.mayOwn() ? session : undefined;
  }

  has(id: string): boolean {
    return this.#table.get(id) !== undefined;
  }

  /** Whether this very copy is here still. */
  holds(session: Session): boolean {
    return this.#table.get(session.id) === session;
  }

  /** Whether this copy takes a request now: not one that begins calls, if it is about to leave. */
  serves(session: Session, beginsCalls: () => boolean): boolean {
    const closed = this.gates.how(session.id);
    return this.holds(session) && (closed === undefined || (closed === "calls" && !beginsCalls()));
  }

  /**
   * Until it is settled where a session is that is about to leave or to come, for so long at the most: one that comes
   * has a deadline of its own. Gives whether it is.
   */
  async settled(id: string, mostMs: number): Promise<boolean> {
    const until = performance.now() + mostMs;
    const coming = this.#adoptions.underWay(id);
    // The person's own code takes a session up, and may take its time.
    if (coming !== undefined && !(await endsWithin(coming, adoptionWaitMs(mostMs)))) return false;
    return this.gates.how(id) === undefined || (await this.gates.opened(id, Math.max(0, until - performance.now())));
  }

  /** Takes a session out that is ready to go on elsewhere. */
  release({ id }: Session): void {
    this.#table.take(id);
    this.#parts.renewals.forget(id);
    this.#parts.writes.forget(id);
  }

  /** Ends a session that can't move from a node that it has to leave. Its entry stays, and says why it is nowhere. */
  endPinned({ id, pinned }: Session): void {
    this.#parts.log.warn("session-pinned", { session: id, why: pinned });
    this.#drop(id, "server-gone");
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
  async open({ client, principal, initialize }: Beginning): Promise<Opened> {
    const { host, ownership, metrics, log } = this.#parts;
    const { tag } = host.node;
    const id = mintSessionId(tag, randomBytes(randomBytesPerId));
    const fence = { owner: this.#owner, epoch: 1 };
    let session: Session;
    if (this.#isStopping) return { kind: "stopping" };
    if (!ownership.mayOwn()) return { kind: "no-right" };
    try {
      const store = this.entries.storeOf(id, fence);
      const { signal } = this.#stop;
      session = await Session.open(host, { id, epoch: 1, client, principal, initialize, store, signal });
    } catch (error) {
      if (this.#isStopping) return { kind: "stopping" };
      log.error("server-error", { session: id, error: textOf(error) });
      return { kind: "failed" };
    }
    if (this.#isStopping) {
      // The person's own code took its time, and nothing would end this session any more.
      await session.close("node-stopping");
      return { kind: "stopping" };
    }
    if (!ownership.mayOwn()) {
      // Nor would anything of it ever leave.
      await session.close("owner-lost");
      return { kind: "no-right" };
    }
    this.#table.add(session);
    const mayBegin = await this.#newSessions.mayBegin(id, this.entries.note(session));
    if (!mayBegin || this.#table.get(id) !== session) return await this.#takeBack(session);
    metrics.sessionOpened();
    log.info("session-opened", { session: id, client });
    return { kind: "opened", session };
  }

  /** Nobody has learnt of the session. */
  async #takeBack(session: Session): Promise<Opened> {
    const { ownership, writes } = this.#parts;
    this.#table.take(session.id);
    // Its claim may have been written, or wait.
    void writes.close(session.id);
    await session.close("closed");
    return { kind: ownership.mayOwn() ? "not-noted" : "no-right" };
  }

  /** Restores a session here whose owner is gone, or that is parked, if it is of that epoch still. Many may ask at once. */
  async adopt(id: string, epoch: number, from: From = this.parked.has(id) ? "parked" : "gone"): Promise<Adopted> {
    if (this.#isStopping || !this.#parts.ownership.mayOwn()) return { kind: "not-now" };
    return await this.#adoptions.adopt(id, epoch, from);
  }

  /** Notes that a session is in use. */
  touched(session: Session): void {
    session.lastSeenAt = this.#parts.host.now();
    this.#parts.renewals.touched(session.id);
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
    const { registry, generations, metrics } = this.#parts;
    try {
      for (;;) {
        const { incomplete } = generations;
        const existed = await registry.close(id, { remember: incomplete });
        if (existed) this.#closed(id);
        if (existed || incomplete) return undefined;
        // Lost a moment ago, it is closed once more: for its owner not to write it again.
        await generations.check();
        if (!generations.incomplete) return "unknown";
      }
    } catch {
      metrics.registryFailed();
      return "misrouted";
    }
  }

  /** Another node owns a session: the copy here ends, and nothing more of it leaves. */
  #lost(id: string, by: Fence): void {
    const session = this.#table.take(id);
    if (session === undefined) return;
    const { log, metrics, renewals, writes } = this.#parts;
    renewals.forget(id);
    writes.forget(id);
    metrics.sessionEnded("lost");
    log.warn("session-lost", { session: id, epoch: session.epoch, by: by.owner.tag, theirEpoch: by.epoch });
    void session.close("owner-lost");
  }

  /** A claim that had waited for the registry came too late. */
  claimLost(id: string, why: ClaimLost): void {
    if (why.kind === "closed") this.#closed(id);
    else void this.entries.fenced(id, why.by);
  }

  /** The right to own is over: all copies end at once. Their next requests are served by whoever adopts them. */
  giveUp(why: "owner-lost" | "node-stopping" = "owner-lost"): Promise<unknown> {
    const sessions = this.#table.clear();
    for (const { id } of sessions) this.#parts.renewals.forget(id);
    return Promise.all(sessions.map((session) => session.close(why)));
  }

  /** Ends all local copies, after calls in flight have had a little time. Their entries stay: the node left, they didn't. */
  async stop(): Promise<void> {
    this.#end();
    await this.#idle.stop();
    await this.#lastCalls();
    await this.giveUp("node-stopping");
  }

  /** Ends all local copies at once: another incarnation of this node has taken its name. */
  async loseName(): Promise<void> {
    this.#end();
    await this.giveUp();
    await this.#idle.stop();
  }

  #end(): void {
    this.#stop.abort();
    this.entries.stop();
    for (const stop of this.#stopListening) stop();
  }

  get #isStopping(): boolean {
    return this.#stop.signal.aborted;
  }

  get #owner() {
    return { tag: this.#parts.host.node.tag, incarnation: this.#parts.incarnation };
  }

  /** An adopted session goes into the table, unless the node began to stop meanwhile. */
  #add(session: Session, generation: string | undefined): boolean {
    if (this.#isStopping) return false;
    this.#table.add(session);
    this.entries.adopted(session, generation);
    this.parked.delete(session.id);
    return true;
  }

  async #expire(id: string): Promise<void> {
    if (this.#drop(id, "expired")) await this.#parts.writes.close(id);
  }

  /** A session was closed elsewhere, or by somebody who did not know that it is here. */
  #closed(id: string): void {
    const coming = this.#adoptions.underWay(id);
    // It may have been claimed before it was closed, and would live on here.
    if (coming !== undefined) void coming.then(() => this.#closed(id));
    else if (!this.#drop(id, "closed")) this.#idle.endParked(id, "closed");
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
    void session.close(ending === "expired" ? "expired" : "closed").then((error) => {
      this.#parts.log.info("session-closed", { session: id, ending, ...(error && { error: error.message }) });
    });
    return true;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
