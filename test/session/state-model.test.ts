import fc from "fast-check";
import { expect, it } from "vitest";
import { SessionState } from "../../src/session/state.ts";

// Nothing that a message saw may be unkept, whatever the server's code does: it reads, assigns and changes in place, by
// references that calls and tasks hold, and for a while also by references that nothing accounts for any more.

type Row = { n: number[] };
type Box = { rows: Row[] };

/** A reference into a value, and who holds it until when. */
interface Held {
  readonly row: Row;
  readonly key: string;
  readonly by: "server" | "task" | number;
  /** For what a call left behind: until when its use is promised to be noticed. */
  until: number;
}

const keys = ["one", "two"] as const;
const initial = (): Box => ({ rows: [{ n: [] }] });

const operation = fc.oneof(
  fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 100, 4_000, 9_000, 20_000) }),
  fc.record({ do: fc.constant("message" as const), kept: fc.boolean() }),
  fc.record({ do: fc.constant("written" as const), kept: fc.boolean() }),
  fc.record({ do: fc.constantFrom("begin" as const, "end" as const, "task" as const, "count" as const) }),
  fc.record({
    do: fc.constantFrom("hold" as const, "assign" as const, "replace" as const, "change" as const),
    key: fc.constantFrom(...keys),
    pick: fc.nat(),
  }),
);
type Operation = typeof operation extends fc.Arbitrary<infer O> ? O : never;

/** One session, run through a sequence of operations on a model of what holds what. */
class Run {
  readonly #state: SessionState;
  readonly #cells;
  readonly #count;
  /** The values themselves, once they were given out: to look at these is no touch. */
  readonly #live: Record<(typeof keys)[number], Box>;
  #counted = 0;
  #now = 0;
  #calls: number[] = [];
  #begun = 0;
  #task = false;
  #held: Held[] = [];
  #written: Record<string, string> = {};
  /** Whether the last write failed, so that it is tried again. */
  #failed = false;
  /** Writes under way, oldest first, with what the message of each saw. */
  #underWay: { readonly changes: Record<string, string>; readonly saw: string }[] = [];

  constructor(readByTheServer: boolean) {
    this.#state = new SessionState({ onTouched: () => {}, now: () => this.#now });
    this.#cells = { one: this.#state.cell("one", initial()), two: this.#state.cell("two", initial()) };
    this.#count = this.#state.cell("count", 0);
    this.#live = { one: initial(), two: initial() };
    if (readByTheServer) this.#hold("one", 0, "server");
    this.#state.begun();
  }

  do(operation: Operation): void {
    switch (operation.do) {
      case "pass":
        this.#now += operation.ms;
        break;
      case "message":
        this.#message(operation.kept);
        break;
      case "written":
        this.#answered(operation.kept);
        break;
      case "begin":
        this.#begun += 1;
        this.#calls.push(this.#begun);
        break;
      case "end":
        this.#endCall();
        break;
      case "task":
        this.#toggleTask();
        break;
      case "count":
        this.#counted += 1;
        this.#count.value += 1;
        break;
      case "hold":
        this.#hold(operation.key, operation.pick, this.#someone(operation.pick));
        break;
      case "assign":
        this.#assign(operation.key, operation.pick);
        break;
      case "replace":
        this.#live[operation.key] = initial();
        this.#cells[operation.key].value = this.#live[operation.key];
        break;
      case "change":
        this.#change(operation.pick);
        break;
    }
  }

  /** At last everything is written, and then everything is kept. */
  end(): void {
    while (this.#underWay.length > 0) this.#answered(false);
    this.#message(true);
    this.#answered(true);
  }

  #someone(pick: number): Held["by"] | undefined {
    const all = [...this.#calls, ...(this.#task ? (["task"] as const) : [])];
    return all[pick % Math.max(1, all.length)];
  }

  #hold(key: (typeof keys)[number], pick: number, by: Held["by"] | undefined): void {
    if (by === undefined) return;
    const box = this.#cells[key].value;
    this.#live[key] = box;
    const row = box.rows[pick % box.rows.length] as Row;
    this.#held.push({ row, key, by, until: Number.POSITIVE_INFINITY });
  }

  /** Assigns an object of the caller's own, which keeps a reference to a part of it. */
  #assign(key: (typeof keys)[number], pick: number): void {
    const by = this.#someone(pick);
    const row: Row = { n: [pick] };
    this.#live[key] = { rows: [row] };
    this.#cells[key].value = this.#live[key];
    if (by !== undefined) this.#held.push({ row, key, by, until: Number.POSITIVE_INFINITY });
  }

  #change(pick: number): void {
    const usable = this.#held.filter(({ until }) => until > this.#now);
    const held = usable[pick % Math.max(1, usable.length)];
    held?.row.n.push(pick % 10);
  }

  #endCall(): void {
    const call = this.#calls.shift();
    if (call === undefined) return;
    this.#message(true);
    for (const held of this.#held) {
      // Work that the call began and didn't wait for.
      if (held.by === call) held.until = this.#now + 10_000;
    }
    this.#settle();
  }

  #toggleTask(): void {
    this.#task = !this.#task;
    if (this.#task) {
      this.#state.taskBegan();
      return;
    }
    this.#held = this.#held.filter(({ by }) => by !== "task");
    this.#state.taskEnded();
  }

  #settle(): void {
    if (this.#calls.length === 0) this.#state.noCallRuns();
  }

  #saw(): string {
    return JSON.stringify([this.#live.one, this.#live.two, this.#counted]);
  }

  #keptSaw(): string {
    const of = (key: string, first: unknown) =>
      this.#written[key] === undefined ? first : (JSON.parse(this.#written[key]) as { d: unknown }).d;
    return JSON.stringify([of("one", initial()), of("two", initial()), of("count", 0)]);
  }

  /** A message wants to leave: what has changed begins to be written, and it waits for that. */
  #message(kept: boolean): void {
    const saw = this.#saw();
    const changes = this.#state.changes();
    if (changes === undefined) {
      // It leaves at once.
      expect(this.#keptSaw()).toBe(saw);
    } else {
      // Nothing is written that is kept already.
      if (this.#underWay.length === 0 && !this.#failed) expect(this.#keptSaw()).not.toBe(saw);
      this.#underWay.push({ changes, saw });
      if (kept) while (this.#underWay.length > 0) this.#answered(true);
    }
    this.#settle();
  }

  #answered(kept: boolean): void {
    const oldest = this.#underWay.shift();
    if (oldest === undefined) return;
    this.#failed = !kept;
    if (!kept) return;
    Object.assign(this.#written, oldest.changes);
    this.#state.kept(oldest.changes);
    // Now its message leaves.
    expect(this.#keptSaw()).toBe(oldest.saw);
  }
}

it("nothing that a message saw is unkept, and nothing is written without need", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(operation, { maxLength: 80, size: "max" }), (readByTheServer, operations) => {
      const run = new Run(readByTheServer);
      for (const each of operations) run.do(each);
      run.end();
    }),
    { numRuns: 2_000 },
  );
});
