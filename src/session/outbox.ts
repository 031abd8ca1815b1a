import { RegistryAway } from "./registry-away.ts";
import type { Kept, SessionStore } from "./session-store.ts";
import type { SessionState } from "./state.ts";
import { errorOf } from "./thrown.ts";
import type { Unwritten } from "./unwritten.ts";

/** What leaves, once everything that was changed before it is written. */
export interface Departure {
  leave(): void;
  /**
   * It waited for too long, and what was changed before it could not be kept: what leaves in its place. What has no such
   * thing waits on, for no session must count on a message that its next owner knows nothing of.
   */
  refuse?(): void;
}

export interface OutboxParts {
  /** Absent where nothing outlives the node: then everything leaves at once. */
  readonly store: SessionStore | undefined;
  /** Looked through also where nothing is kept: what can't be kept is to fail there as it does where it is. */
  readonly state: SessionState | undefined;
  readonly unwritten: Unwritten;
  /** For how long what leaves waits at most for a registry that is away, in milliseconds. */
  readonly holdMs: number;
  /** Whether it waits also while the registry is away from every node. */
  readonly strict: boolean;
  /** The number of the newest event of the standalone stream that some connection has carried. */
  carried(): number;
  /** Whether a call runs. */
  callRuns(): boolean;
  /** So many events have left that could not be logged. */
  readonly leftUnlogged: ((count: number) => void) | undefined;
  failed(error: Error): void;
  /** A value could not be kept: what is in flight may have made it so. */
  spoilt(failure: Error): void;
}

/** How it went to write all of a session. `busy`: it changes again and again. */
export type Settled = Kept | "busy";

interface Waiting {
  readonly departure: Departure;
  /** The write after which it may leave. */
  readonly write: number;
  readonly since: number;
}

/** How soon what changed outside calls is written, in milliseconds: within 100 ms, also on a busy machine. */
const soonMs = 50;

/** How many messages of a session may wait: when there are more, the oldest is refused, or leaves. */
const maxWaiting = 10_000;

/** How many writes a session may need to be settled: one that changes by itself all the time never is. */
const maxSettling = 10;

/**
 * The way of all messages of a session out of its node: each leaves when everything that was changed before it is
 * written, in order. With nothing unwritten and nothing on its way that is at once. What comes during a write shares the
 * next one. All of it waits for {@link Outbox.wake} first.
 */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #queue: Waiting[] = [];
  /** Counts writes that were begun. */
  #writes = 0;
  #writing: Promise<Kept> | undefined;
  #isLeaving = false;
  /** The next write begins at the end of this turn. */
  #isDue = false;
  /**
   * Not known to the registry yet, or not restored: nothing is written (by a migration, say, of what can't be restored
   * after all), and nothing leaves.
   */
  #isAsleep: boolean;
  #isOver: "lost" | "let-go" | undefined;
  #soon: NodeJS.Timeout | undefined;
  #soonAt = Number.POSITIVE_INFINITY;
  /** Whether what is changed now is looked for soon enough: what a held reference may do can wait for longer. */
  #looksSoon = false;
  /** Since a write failed, until one succeeds. */
  #away: RegistryAway | undefined;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#isAsleep = this.keeps;
  }

  /** Whether anything of the session is kept. */
  get keeps(): boolean {
    return this.#parts.store !== undefined;
  }

  /** Whether nothing may leave any more: the session is another node's. */
  get isLost(): boolean {
    return this.#isOver === "lost";
  }

  /** The registry knows the session, or it has been restored. */
  wake(): void {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#goOn();
  }

  /** Notes what has changed of the state. To be called before each message is made: what can't be kept is reported. */
  gather(): void {
    const { state, unwritten } = this.#parts;
    if (state === undefined || !state.mayHaveChanged) return;
    let failure: Error | undefined;
    // Each failing value is put back, so that the next attempt finds what else has changed.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      try {
        const changes = state.changes();
        if (changes === undefined) break;
        if (this.keeps) unwritten.state(changes);
        // From here on it is the outbox's to see it written.
        state.kept(changes);
        break;
      } catch (error) {
        failure ??= errorOf(error);
      }
    }
    if (failure !== undefined) this.#parts.spoilt(failure);
    if (!this.#parts.callRuns()) state.noCallRuns();
    if (failure !== undefined) this.#parts.failed(failure);
  }

  /** Whether what is sent now may leave at once. Asked for each message. */
  get isClear(): boolean {
    if (this.#parts.store === undefined || this.#isOver === "let-go") return true;
    if (this.#writing !== undefined || this.#queue.length > 0 || this.#isAsleep || this.#isOver !== undefined)
      return false;
    return !this.#parts.unwritten.mustPrecede && this.owns();
  }

  /** Lets something leave: at once, or when everything that was changed before is written. */
  pass(departure: Departure): void {
    if (this.isClear) departure.leave();
    else this.#push(departure);
  }

  /** Something of the state may have changed outside calls. Called very often. */
  touched(): void {
    if (!this.#looksSoon) this.soon();
  }

  /** Sees to it that what has changed is looked for, and what is unwritten is written, soon, also if no message leaves. */
  soon(ms = soonMs): void {
    if (this.#isOver !== undefined) return;
    if (ms <= soonMs) this.#looksSoon = true;
    const at = performance.now() + ms;
    if (at >= this.#soonAt) return;
    clearTimeout(this.#soon);
    this.#soonAt = at;
    this.#soon = setTimeout(() => this.#look(), ms).unref();
  }

  /** Writes what is unwritten, as far as that goes. */
  async flush(): Promise<void> {
    this.gather();
    while (this.#writing !== undefined) await this.#writing;
    if (this.#isOver !== undefined || this.#isAsleep || this.#parts.unwritten.isEmpty) return;
    this.#write();
    await this.#writing;
  }

  /**
   * Writes until nothing is unwritten, and once in any case: the registry may have lost the session unnoticed. Written: it
   * has all of it.
   */
  async settle(): Promise<Settled> {
    for (let writes = 0; writes < maxSettling; writes += 1) {
      while (this.#writing !== undefined) await this.#writing;
      if (this.#isOver !== undefined) return "lost";
      if (this.#isAsleep) return "unavailable";
      this.gather();
      const kept = await this.#write();
      if (kept !== "written") return kept;
      if (this.isSettled()) return "written";
    }
    return "busy";
  }

  /** Whether nothing waits to be written, or to leave. */
  isSettled(): boolean {
    this.gather();
    if (this.#isOver !== undefined || this.#writing !== undefined || this.#queue.length > 0) return false;
    return this.#parts.unwritten.isEmpty;
  }

  /** Lets all go that waits and that comes: the session ends, and what is unwritten of it is needed no more. */
  letGo(): void {
    if (this.#isOver !== undefined) return;
    if (this.keeps && !this.owns()) return;
    this.#isOver = "let-go";
    this.#stopTimers();
    this.#leave(Number.POSITIVE_INFINITY);
  }

  /** The last call that ran has ended. */
  noCallRuns(): void {
    const { state } = this.#parts;
    if (state?.mayHaveChanged === true) state.noCallRuns();
  }

  /** Nothing leaves any more, and nothing is written: the session is another node's, or over. */
  lose(): void {
    this.#isOver = "lost";
    this.#queue.length = 0;
    this.#stopTimers();
  }

  /** Whether this node may still speak for the session: if not, nothing leaves any more. */
  owns(): boolean {
    if (this.#isOver === "lost") return false;
    if (this.#parts.store?.owns() !== false) return true;
    this.lose();
    return false;
  }

  #push(departure: Departure): void {
    if (this.#isOver !== undefined) return;
    const write = this.#parts.unwritten.mustPrecede ? this.#writes + 1 : this.#writes;
    this.#queue.push({ departure, write, since: performance.now() });
    if (this.#queue.length > maxWaiting) this.#giveUpOn(this.#queue.shift() as Waiting);
    if (this.#writing === undefined) this.#goOn();
    this.#arrangeHold();
  }

  /** Nothing is on its way: begins the next write, or lets those leave that need none. */
  #goOn(): void {
    if (this.#isOver !== undefined || this.#isAsleep || this.#writing !== undefined || this.#isLeaving) return;
    if (!this.#parts.unwritten.mustPrecede) this.#leave(Number.POSITIVE_INFINITY);
    else if (!this.#isDue) this.#writeAfterTurn();
  }

  /**
   * A task changes its state and sends a message in one turn, and both are to be written as one: an SDK takes some
   * microtasks to get from the one to the other, in which another message must not begin a write.
   */
  #writeAfterTurn(): void {
    this.#isDue = true;
    queueMicrotask(() =>
      process.nextTick(() => {
        this.#isDue = false;
        if (this.#isOver === undefined && this.#writing === undefined && this.#parts.unwritten.mustPrecede)
          this.#write();
        else this.#goOn();
      }),
    );
  }

  /** Looks for changes that no message has told of. */
  #look(): void {
    this.#soon = undefined;
    this.#soonAt = Number.POSITIVE_INFINITY;
    this.#looksSoon = false;
    this.gather();
    const { state, unwritten } = this.#parts;
    if (!unwritten.isEmpty && this.#writing === undefined && !this.#isAsleep && this.owns()) this.#write();
    const againMs = state?.lookAgainMs;
    if (againMs !== undefined) this.soon(Math.max(againMs - soonMs, soonMs));
  }

  #write(): Promise<Kept> {
    const { store, unwritten, carried } = this.#parts;
    if (store === undefined || !this.owns()) return lost;
    this.#writes += 1;
    this.#writing = this.#end(store, store.write(unwritten.take(carried())));
    return this.#writing;
  }

  async #end(store: SessionStore, write: Promise<Kept>): Promise<Kept> {
    const kept = await write.catch((error: unknown) => {
      this.#parts.failed(errorOf(error));
      return "unavailable" as const;
    });
    this.#writing = undefined;
    if (this.#isOver !== undefined) return "lost";
    switch (kept) {
      case "written":
        this.#parts.unwritten.written();
        this.#back();
        this.#leave(this.#writes);
        break;
      case "unavailable":
        this.#parts.unwritten.putBack();
        this.#away ??= this.#whileAway(store);
        this.#away.retryLater();
        // All of it was what no message waits for.
        if (!this.#parts.unwritten.mustPrecede) this.#leave(Number.POSITIVE_INFINITY);
        // The rest waits for the write that succeeds.
        for (const [index, waiting] of this.#queue.entries())
          this.#queue[index] = { ...waiting, write: this.#writes + 1 };
        this.#leaveIfPromised();
        this.#arrangeHold();
        return kept;
      case "lost":
        this.lose();
        return kept;
    }
    this.#goOn();
    // For the end of a call no message waits, and nobody could write it while this write was under way.
    if (!this.#parts.unwritten.isEmpty) this.soon();
    return kept;
  }

  #whileAway(store: SessionStore): RegistryAway {
    return new RegistryAway({
      store,
      tryAgain: () => this.#tryAgain(),
      promised: () => this.#leaveIfPromised(),
      heldLongEnough: () => this.#refuseOverdue(),
    });
  }

  #tryAgain(): void {
    if (this.#isOver !== undefined || this.#writing !== undefined) return;
    if (this.#parts.unwritten.isEmpty) this.#back();
    else this.#write();
  }

  /** Nothing waits for the registry any more. */
  #back(): void {
    this.#away?.end();
    this.#away = undefined;
  }

  /** Nobody will take the session over, so that nothing is lost by what leaves unwritten. */
  #leaveIfPromised(): void {
    const { strict, store } = this.#parts;
    if (strict || store?.isPromised() !== true || this.#isOver !== undefined || this.#writing !== undefined) return;
    this.#countUnlogged();
    this.#leave(Number.POSITIVE_INFINITY);
  }

  #countUnlogged(): void {
    const count = this.#parts.unwritten.leave();
    if (count > 0) this.#parts.leftUnlogged?.(count);
  }

  /** Lets those leave that wait for no write after this one. */
  #leave(write: number): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    try {
      for (let first = this.#queue[0]; first !== undefined && first.write <= write; first = this.#queue[0]) {
        if (this.#isOver !== "let-go" && !this.owns()) return;
        this.#queue.shift();
        this.#depart(() => first.departure.leave());
      }
    } finally {
      this.#isLeaving = false;
    }
    this.#arrangeHold();
  }

  #depart(leave: () => void): void {
    try {
      leave();
    } catch (error) {
      // One answer that fails must not hold up the others.
      this.#parts.failed(errorOf(error));
    }
  }

  /** What waits has waited for long enough. */
  #refuseOverdue(): void {
    const due = performance.now() - this.#parts.holdMs + 1;
    for (const waiting of [...this.#queue]) {
      if (waiting.since > due) break;
      if (waiting.departure.refuse === undefined) continue;
      const index = this.#queue.indexOf(waiting);
      // What was refused before it may have ended all.
      if (index < 0 || !this.owns()) return;
      this.#queue.splice(index, 1);
      this.#giveUpOn(waiting);
    }
    this.#arrangeHold();
  }

  /** It leaves, or what is said in its place, although what was changed before could not be kept. */
  #giveUpOn({ departure }: Waiting): void {
    if (departure.refuse === undefined) this.#countUnlogged();
    this.#depart(() => (departure.refuse === undefined ? departure.leave() : departure.refuse()));
  }

  /** Only what waits for a registry that is away waits for long. */
  #arrangeHold(): void {
    const away = this.#away;
    if (away === undefined || away.isHolding) return;
    const first = this.#queue.find(({ departure }) => departure.refuse !== undefined);
    if (first !== undefined) away.hold(first.since + this.#parts.holdMs);
  }

  #stopTimers(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#back();
  }
}

const lost = Promise.resolve<Kept>("lost");
