/** A promise was broken. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** One run of a call with an effect. */
export interface Run {
  readonly by: string;
  /**
   * How far it came. A call may run again only where its node stopped before its ledger had it, where the ledger could
   * not be written, or where its answer left and was lost on the way: `logged` and `dropped` must not.
   */
  stage: "young" | "writing" | "logged" | "unwritten" | "dropped" | "answered";
}

/** What is true of a session, whatever its nodes believe. */
export interface SessionFacts {
  readonly id: string;
  /** The newest epoch that served anything, and by which start of which node. */
  served: { readonly epoch: number; readonly by: string } | undefined;
  /** The largest count that a client was told. */
  acknowledged: number;
  /** The last notification that its client got. */
  notified: number;
  /** Whether its client has asked to end it, and whether the registry did it since it was last emptied. */
  closing: boolean;
  closed: boolean;
  /** Why it may have lost something: two faults at once, which docs/promises.md excepts. */
  excused: string | undefined;
  readonly isPinned: boolean;
  /** Whether its node may have ended it, because it is pinned. */
  mayEnd: boolean;
  parked: boolean;
  /** Its owner put its copy away though the registry had lost it, for no fault of anybody else. */
  givenUpUnkept: boolean;
  /** When it was taken over, the last times. */
  readonly movedAt: number[];
  readonly runs: Map<string, Run[]>;
}

/** Drains, home-comings, adoptions and parkings of a whole schedule together need fewer. */
const mostMovesPerMinute = 25;

/** Sees everything, and says when a promise is broken. */
export class Observer {
  readonly sessions = new Map<string, SessionFacts>();
  readonly counts = {
    calls: 0,
    acknowledged: 0,
    refused: 0,
    adopted: 0,
    notified: 0,
    excused: 0,
    "handed over": 0,
    "come home": 0,
    "taken back": 0,
    cut: 0,
    "kept, unwritten": 0,
    "passed on": 0,
    "pinned, and ended": 0,
    parked: 0,
    unparked: 0,
    "stopped after a drain": 0,
    "left behind": 0,
    "drains cancelled": 0,
    "without faults": 0,
  };
  readonly #closed = new Set<string>();
  readonly #trace: ((line: string) => void) | undefined;

  constructor(trace: ((line: string) => void) | undefined) {
    this.#trace = trace;
  }

  note(line: () => string): void {
    this.#trace?.(line());
  }

  fail(what: string): never {
    this.#trace?.(`BROKEN: ${what}`);
    throw new Violation(what);
  }

  begun(id: string, isPinned: boolean): void {
    this.sessions.set(id, {
      id,
      served: undefined,
      acknowledged: 0,
      notified: 0,
      closing: false,
      closed: false,
      excused: undefined,
      isPinned,
      mayEnd: false,
      parked: false,
      givenUpUnkept: false,
      movedAt: [],
      runs: new Map(),
    });
  }

  of(id: string): SessionFacts {
    const facts = this.sessions.get(id);
    if (facts === undefined) throw new Error(`Nobody began a session ${id}.`);
    return facts;
  }

  excuse(id: string, why: string): void {
    const facts = this.of(id);
    if (facts.excused !== undefined || facts.givenUpUnkept) return;
    facts.excused = why;
    this.counts.excused += 1;
    this.note(() => `${id} is excused: ${why}`);
  }

  /** The registry has removed it. */
  closed(id: string): void {
    this.of(id).closed = true;
    this.#closed.add(id);
  }

  /** The registry has lost everything: also what it had to remember. */
  emptied(): void {
    for (const id of this.#closed) this.of(id).closed = false;
    this.#closed.clear();
  }

  /** What was closed must not be there again. */
  checkClosed(isThere: (id: string) => boolean): void {
    for (const id of this.#closed) if (isThere(id)) this.fail(`${id} was closed, and is in the registry again`);
  }

  /** A node takes a request of a session, runs something of it, or lets a message of it leave. */
  serves(id: string, epoch: number, by: string): void {
    const facts = this.of(id);
    const { served } = facts;
    if (served !== undefined && (epoch < served.epoch || (epoch === served.epoch && by !== served.by))) {
      this.fail(`two nodes serve ${id}: ${by} of epoch ${epoch}, after ${served.by} of epoch ${served.epoch}`);
    }
    if (served?.epoch !== epoch) facts.served = { epoch, by };
  }

  runs(id: string, call: string, by: string): Run {
    const facts = this.of(id);
    const before = facts.runs.get(call) ?? [];
    const last = before.at(-1);
    if (last?.stage === "logged" || last?.stage === "dropped") {
      this.fail(`${by} runs call ${call} of ${id} again, which ${last.by} ran (${last.stage})`);
    }
    const run: Run = { by, stage: "young" };
    facts.runs.set(call, [...before, run]);
    this.counts.calls += 1;
    return run;
  }

  /** It has another owner, or the same one anew. */
  moved(id: string, now: number): void {
    const { movedAt } = this.of(id);
    movedAt.push(now);
    while (movedAt.length > 0 && now - (movedAt[0] as number) > 60_000) movedAt.shift();
    if (movedAt.length > mostMovesPerMinute) this.fail(`${id} moves without end`);
  }

  acknowledge(id: string, count: number, floor: number): void {
    const facts = this.of(id);
    if (facts.excused === undefined && count <= floor) {
      this.fail(`acknowledged state of ${id} went back: ${count}, after ${floor} had been acknowledged`);
    }
    facts.acknowledged = Math.max(facts.acknowledged, count);
    this.counts.acknowledged += 1;
  }

  notify(id: string, sequence: number, says: string): void {
    const facts = this.of(id);
    if (facts.excused === undefined && (sequence !== facts.notified + 1 || says !== String(sequence))) {
      this.fail(`the client of ${id} got notification ${sequence} (${says}) after ${facts.notified}`);
    }
    facts.notified = sequence;
    this.counts.notified += 1;
  }

  refuse(id: string, reason: string, by: string): void {
    const facts = this.of(id);
    this.counts.refused += 1;
    const ended = reason !== "misrouted";
    if (reason === "owner-gone" && facts.isPinned) {
      facts.mayEnd = true;
      return;
    }
    if (ended && !facts.closing && facts.excused === undefined) {
      this.fail(`${by} refuses ${id} as ${reason}, and nobody closed it`);
    }
  }
}
