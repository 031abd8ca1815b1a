import { firstFormat } from "../model/formats.ts";
import { parseSessionId } from "../model/session-id.ts";
import type { Principal, SessionChanges, StoredSession } from "../ports/registry.ts";
import type { ServerDefinition } from "./define-server.ts";
import type { HoldBack } from "./hold-back.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { ListCheck } from "./list-check.ts";
import type { ListChecks } from "./list-checks.ts";
import type { Settled } from "./outbox.ts";
import type { RetainedEvents } from "./retained-events.ts";
import type { SessionContext } from "./session-context.ts";
import type { SessionStore } from "./session-store.ts";
import { SessionState } from "./state.ts";
import { SessionTasks } from "./tasks.ts";
import { errorOf } from "./thrown.ts";
import { SessionTransport } from "./transport.ts";
import type { EndReason } from "./transport-options.ts";
import type { McpServerLike } from "./transport-types.ts";
import { UnreadableSession } from "./unreadable-session.ts";
import { endsWithin } from "./wait-bounded.ts";

/** What the sessions of a node share. */
export interface SessionHost {
  readonly node: { readonly name: string; readonly tag: string };
  readonly definition: ServerDefinition;
  readonly retained: RetainedEvents;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  /** Sees to it that clients hear of lists that changed with their servers. */
  readonly listChecks?: ListChecks | undefined;
  readonly answerAsJson: boolean;
  /** For how long a message waits at most for a registry that is away, in milliseconds. */
  readonly holdMs: number;
  /** Whether it waits also while the registry is away from every node. */
  readonly strict?: boolean;
  /** strict: a call that may not be run twice is noted before it runs. */
  readonly ledger?: "relaxed" | "strict";
  /** How long the person's own code may take to make a session's server, in milliseconds; 20 s, unless it says another. */
  readonly createMs?: number;
  /** The format in which a session that begins is kept (src/model/formats.ts); the first, unless it says another. */
  format?(): number;
  now(): number;
  /** A stream's client reads more slowly than the server writes. */
  overflowed(session: string, stream: string): void;
  /** The server reported an error that no request answers for. */
  serverFailed(session: string, error: Error): void;
  /** One of its tasks threw, or did not end when it was told to. */
  taskFailed(session: string, task: string, error: Error): void;
  /** So many events have left that could not be logged. */
  leftUnlogged?(session: string, count: number): void;
}

/** What is known of a session when it begins. */
export interface SessionStart {
  readonly id: string;
  readonly epoch: number;
  /** "name/version", as the client says. */
  readonly client: string;
  readonly principal?: Principal | undefined;
  /** The `initialize` request, as JSON. */
  readonly initialize?: string;
  /** Keeps what outlives the node; absent where nothing does. */
  readonly store?: SessionStore | undefined;
  /** Aborts when nobody waits for its beginning any more. */
  readonly signal?: AbortSignal;
}

/**
 * How long the beginning of a session waits for its server. Shorter than clients wait for an answer, as far as is known:
 * 30 s those in Python, 60 s those in TypeScript.
 */
const defaultCreateMs = 20_000;

/** How long the end of a session waits for its server. */
const closeMs = 5_000;

/** One live session: the server made for it, its transport, its state and its tasks. */
export class Session {
  readonly id: string;
  readonly home: string;
  readonly epoch: number;
  readonly client: string;
  readonly principal: Principal | undefined;
  readonly createdAt: number;
  /** In which format it is kept, for all its life. */
  readonly format: number;
  readonly transport: SessionTransport;
  /** Why the session can't move, if its server said so. */
  pinned: string | undefined;
  lastSeenAt: number;
  /** When this copy was made, by the monotonic clock. */
  readonly arrivedAt = performance.now();
  readonly #host: SessionHost;
  readonly #state: SessionState;
  readonly #tasks: SessionTasks;
  readonly #end = new AbortController();
  #server: McpServerLike | undefined;

  private constructor(host: SessionHost, start: SessionStart, stored?: StoredSession) {
    const { id, epoch, client, principal, store, initialize = "" } = start;
    this.#host = host;
    this.id = id;
    this.home = parseSessionId(id)?.tag ?? "";
    this.epoch = epoch;
    this.client = client;
    this.principal = principal;
    this.lastSeenAt = host.now();
    this.createdAt = stored?.record.createdAt ?? this.lastSeenAt;
    this.format = (stored === undefined ? host.format?.() : stored.record.format) ?? firstFormat;
    this.pinned = stored?.record.pinned;
    this.#state = new SessionState({
      ...(stored && { stored: stored.state }),
      onTouched: () => this.transport.outbox.touched(),
    });
    this.transport = new SessionTransport({
      sessionId: id,
      epoch,
      ring: host.retained.ring(),
      keepAlive: host.keepAlive,
      holdBack: host.holdBack,
      answerAsJson: host.answerAsJson,
      state: this.#state,
      keeping: store && {
        store,
        journal: stored?.record.journal ?? { initialize },
        stored,
        holdMs: host.holdMs,
        strict: host.strict ?? false,
        ledger: host.ledger ?? "relaxed",
        leftUnlogged: (count) => host.leftUnlogged?.(id, count),
      },
      now: host.now,
      overflowed: (stream) => host.overflowed(id, stream),
    });
    this.transport.onerror = (error) => host.serverFailed(id, error);
    this.#tasks = new SessionTasks({
      state: this.#state,
      failed: (name, error) => host.taskFailed(id, name, error),
    });
  }

  /** Makes the session's server and connects it. Rejects with what the person's own code threw, or when it takes too long. */
  static async open(host: SessionHost, start: SessionStart): Promise<Session> {
    const session = new Session(host, start);
    await session.#begin(false, start.signal);
    return session;
  }

  /**
   * Makes a server that goes on where the one before it stopped, of the epoch that the record says. Rejects with an
   * UnreadableSession when newer code has changed its state, with what the person's own code threw, when that takes too
   * long, and when the server does not take up what the client had told the one before it. Then nothing of it was written.
   */
  static async restore(
    host: SessionHost,
    stored: StoredSession,
    { store, signal }: { readonly store: SessionStore; readonly signal?: AbortSignal },
  ): Promise<Session> {
    const { id, epoch, client = "", principal, journal } = stored.record;
    if (journal === undefined) {
      throw new Error(`The session ${id} can't be restored: nothing is kept of how its client began it`);
    }
    const session = new Session(host, { id, epoch, client, principal, store }, stored);
    try {
      await session.#begin(true, signal);
    } catch (error) {
      // Whatever the person's own code made of it.
      const { newer } = session.#state;
      throw newer === undefined ? error : new UnreadableSession(newer);
    }
    return session;
  }

  /** All that is kept of the session, for writing it anew. */
  snapshot(): SessionChanges {
    const { kept } = this.transport;
    this.transport.outbox.gather();
    this.#state.lost();
    const state = this.#state.changes();
    // What of it is unwritten is the outbox's to see written, as before.
    if (state !== undefined) this.#state.kept(state);
    return { ...kept, ...(state && { state }), ...(this.pinned !== undefined && { pinned: this.pinned }) };
  }

  /**
   * The registry has nothing of the session any more but its record, which the caller has claimed again or will: all that
   * is kept of it is written again, with the next write or soon.
   */
  unkept(): void {
    this.#state.lost();
    // All of it as one write: events without the state that they tell of must not be there for a moment.
    this.transport.outbox.gather();
    if (this.pinned !== undefined) this.#pin(this.pinned);
    this.transport.unkept();
  }

  /** Whether a task runs that the server's own code started. */
  get hasStartedTask(): boolean {
    return this.#tasks.hasStarted;
  }

  /**
   * Readies the session for going on elsewhere, or later: its tasks end, and all that outlives this copy is written. Not
   * "written": nothing may be ended here yet; call it again, or {@link stay}.
   */
  async prepareToLeave(reason: "moved" | "parked"): Promise<Settled> {
    // Where the registry is away, tasks need not end for nothing.
    await this.transport.outbox.flush();
    if (!this.transport.unwritten.isEmpty) return "unavailable";
    await this.#tasks.end(reason);
    return await this.#save();
  }

  /** Whether {@link prepareToLeave} has written everything, and nothing has changed since. */
  get isReadyToLeave(): boolean {
    return this.transport.outbox.isSettled();
  }

  /** It stays here after all. */
  stay(): void {
    this.#tasks.goOn();
  }

  async #save(): Promise<Settled> {
    this.transport.goesAlong();
    return await this.transport.outbox.settle();
  }

  /**
   * Ends this node's copy: its calls are answered, its streams end, its tasks end, its server is closed, its signal
   * aborts. Where the session goes on elsewhere, what is unwritten is written first, as far as it is still this node's.
   * Never rejects: whatever the person's own code throws here, the session is over.
   */
  async close(reason: EndReason = "closed"): Promise<Error | undefined> {
    try {
      const tasks = this.#tasks.end(reason);
      if (reason === "node-stopping") {
        await tasks;
        await this.#save();
      }
      this.#end.abort();
      this.transport.end(reason);
      await tasks;
      await this.#closeServer();
      return undefined;
    } catch (error) {
      return errorOf(error);
    }
  }

  /**
   * Ends this node's copy at once, in the turn in which {@link isReadyToLeave} holds: whoever takes the session need not
   * wait for its server to close. Never rejects.
   */
  leave(reason: "moved" | "parked"): Promise<Error | undefined> {
    this.transport.end(reason);
    return this.close(reason);
  }

  async #begin(restored: boolean, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#madeInTime(signal);
      this.#state.begun();
      const listCheck = restored ? await this.transport.replay() : undefined;
      this.#tasks.begin(restored);
      if (restored) this.transport.outbox.wake();
      if (listCheck !== undefined) this.#checkSoon(listCheck);
    } catch (error) {
      // What the person's own code had begun before it failed ends by this.
      await this.close("owner-lost");
      throw error;
    }
  }

  /** The person's own code may wait here for something that never comes, and so would all requests of the session. */
  async #madeInTime(signal: AbortSignal | undefined): Promise<void> {
    const { createMs = defaultCreateMs } = this.#host;
    const made = this.#make();
    if (await endsWithin(made, createMs, signal)) return await made;
    // Nobody waits for it, but it may say why it took so long.
    made.catch((error) => this.#host.serverFailed(this.id, errorOf(error)));
    throw new Error(
      signal?.aborted === true
        ? "The node stops, and does not wait for the session's server"
        : `The session's server was not made and connected within ${createMs} ms, and is not waited for any longer. ` +
            "Give what the function of defineServer awaits a deadline, or await it in the first call that needs it.",
    );
  }

  async #make(): Promise<void> {
    const server = await this.#host.definition.create({ session: this.#context() });
    if (this.#end.signal.aborted) {
      // It came too late, and nothing else would end what it holds.
      await server.close();
      return;
    }
    this.#server = server;
    await server.connect(this.transport as never);
  }

  #checkSoon(lists: ListCheck): void {
    const gaveUp = (error: Error) => this.#host.serverFailed(this.id, error);
    this.#host.listChecks?.add({ check: () => lists.run(), gaveUp });
  }

  #context(): SessionContext {
    return {
      id: this.id,
      node: this.#host.node,
      epoch: this.epoch,
      principal: this.principal,
      signal: this.#end.signal,
      state: (key, initial, options) => this.#state.cell(key, initial, options),
      task: (name, run, options) => this.#tasks.declare(name, run, options),
      pin: (why) => this.#pin(why),
    };
  }

  #pin(why: string): void {
    this.pinned = why;
    const { outbox, unwritten } = this.transport;
    if (!outbox.keeps) return;
    unwritten.pinned(why);
    outbox.soon();
  }

  /** The person's own code may wait here for something that never comes, and a stopping node must not wait with it. */
  async #closeServer(): Promise<void> {
    const closing = this.#server?.close();
    if (!(await endsWithin(closing, closeMs))) throw new Error(`The server did not close within ${closeMs} ms`);
    await closing;
  }
}
