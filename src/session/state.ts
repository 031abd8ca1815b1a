import { copyOf, imprintOf } from "./json-value.ts";
import type { StateCell, StateOptions } from "./session-context.ts";
import { Cell, type CellHost } from "./state-cell.ts";
import { StateError } from "./state-error.ts";
import { checkValue, readStored } from "./stored-value.ts";

export interface SessionStateOptions {
  /** What is kept of the session's state, by key. */
  readonly stored?: Readonly<Record<string, string>>;
  /** Called whenever something may have changed, often many times for one change: it must be quick. */
  onTouched(): void;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

/** Keys that begin with this are Mooring's own. */
const reserved = "mooring.";

/** For how long a value is compared after it was last touched, once no call is in flight. */
const lingerMs = 10_000;

/** How soon a touch outside calls is to be followed by a comparison. */
const soonMs = 100;

/**
 * The state of one session, by key. To read an object, or to assign, marks its key; {@link changes} compares what is
 * marked with what was kept. A mark has to outlast the touch, because a reference to an object (or to a part of it) can
 * be held and used later, which nobody sees. So a mark stays:
 *
 * - while a call is in flight, or a task runs: the owner of this state says so;
 * - after that, until a comparison at least ten seconds after the last touch or change finds nothing new: work may go on
 *   that a call began and didn't wait for;
 * - for good, when the value was read before the session had begun (the server's own variables hold it then), or once a
 *   change was found that nothing in flight explains.
 *
 * A mark costs a comparison before each message: about a microsecond for a small object, 2 µs a KiB for a large one.
 */
export class SessionState implements CellHost {
  readonly #onTouched: () => void;
  readonly #now: () => number;
  readonly #cells = new Map<string, Cell>();
  readonly #marked = new Set<Cell>();
  /** What is kept under keys that the code has not declared: it may be an older version than the one that did. */
  readonly #undeclared: Map<string, string>;
  #undeclaredUnkept: { changes?: object } | undefined;
  #undeclaredBytes = 0;
  #newer: StateError | undefined;
  #isBegun = false;
  #tasks = 0;
  #comparedAt = 0;

  constructor({ stored = {}, onTouched, now = () => performance.now() }: SessionStateOptions) {
    this.#onTouched = onTouched;
    this.#now = now;
    this.#undeclared = new Map(Object.entries(stored));
    for (const json of this.#undeclared.values()) this.#undeclaredBytes += Buffer.byteLength(json);
  }

  /**
   * The cell of a key. `initial` is copied, so that a default made once per process is not shared by sessions, and is
   * not kept unless it is changed. Throws a StateError (see {@link StateErrorCode}).
   */
  cell<T>(key: string, initial: T, options: StateOptions<T> = {}): StateCell<T> {
    if (typeof key !== "string" || key === "" || key === "__proto__" || key.startsWith(reserved)) {
      const why = `Session state can't have the key ${JSON.stringify(key)}: give it a name that doesn't begin with "${reserved}".`;
      throw new StateError("key", String(key), why);
    }
    return this.#open(key, initial, options);
  }

  /** A cell of Mooring's own. */
  own<T>(name: string, initial: T): StateCell<T> {
    return this.#open(`${reserved}${name}`, initial, {});
  }

  /** Why the code that runs here can't read the session: a key that it declares is kept with a higher version. */
  get newer(): StateError | undefined {
    return this.#newer;
  }

  /** The server has been made. What it read until now it may hold for as long as it lives. */
  begun(): void {
    this.#isBegun = true;
  }

  /** Whether there is anything to compare or to keep. */
  get mayHaveChanged(): boolean {
    return this.#marked.size > 0 || this.#undeclaredUnkept !== undefined;
  }

  /**
   * What has to be kept before the next message leaves: stored forms by key, or undefined when there is nothing. A
   * change is given again by each later call until {@link kept} is told of it. Throws a StateError when a value can't be
   * kept; then the last one that could be stands in its place, and what else has changed is given by the next call.
   */
  changes(): Record<string, string> | undefined {
    if (!this.mayHaveChanged) return undefined;
    let failure: unknown;
    this.#comparedAt = this.#now();
    for (const cell of this.#marked) {
      try {
        this.#compare(cell);
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    const changes: Record<string, string> = {};
    for (const cell of this.#marked) {
      cell.giveOut(changes);
      if (!cell.isShared && !cell.isUnkept) this.#marked.delete(cell);
    }
    if (this.#undeclaredUnkept !== undefined) {
      for (const [key, json] of this.#undeclared) changes[key] = json;
      this.#undeclaredUnkept.changes = changes;
    }
    return Object.keys(changes).length === 0 ? undefined : changes;
  }

  /** What {@link changes} gave, the same object, has been written. What was given since is still to be written. */
  kept(changes: Readonly<Record<string, string>>): void {
    for (const key in changes) {
      const cell = this.#cells.get(key);
      cell?.kept(changes);
      if (cell?.isUnkept === false && !cell.isShared && !cell.isFresh) this.#marked.delete(cell);
    }
    if (this.#undeclaredUnkept?.changes === changes) this.#undeclaredUnkept = undefined;
  }

  /**
   * No call runs now, and what there was to compare has been compared: told after each message and each look at
   * which that is so, not only after the last call.
   */
  noCallRuns(): void {
    if (this.#tasks > 0) return;
    for (const cell of this.#marked) {
      if (!cell.isCold) {
        cell.isCold = true;
        cell.activeAt = this.#comparedAt;
      } else if (!cell.isFresh && !cell.isUnkept && !cell.isHeld && this.#comparedAt - cell.activeAt >= lingerMs) {
        this.#marked.delete(cell);
      }
    }
  }

  /**
   * In how many milliseconds to look for changes, with {@link changes}, should no message leave before: soon after a
   * touch, ever more rarely for what a held reference may do. Undefined: there is nothing to look for.
   */
  get lookAgainMs(): number | undefined {
    if (!this.mayHaveChanged) return undefined;
    let inMs = lingerMs;
    for (const cell of this.#marked) {
      const quietMs = cell.isFresh || cell.isWaiting ? 0 : this.#comparedAt - cell.activeAt;
      inMs = Math.min(inMs, Math.max(quietMs, soonMs));
    }
    return inMs;
  }

  /** All that was kept is lost: the next {@link changes} gives all of it. */
  lost(): void {
    for (const cell of this.#cells.values()) {
      if (cell.bytes === 0) continue;
      cell.lost();
      this.#marked.add(cell);
    }
    if (this.#undeclared.size > 0) this.#undeclaredUnkept = {};
  }

  /** A task runs, which may hold references for as long as it does. */
  taskBegan(): void {
    this.#tasks += 1;
  }

  taskEnded(): void {
    this.#tasks -= 1;
    // The last that it did may have been a change.
    if (this.#marked.size > 0) this.#onTouched();
  }

  touched(cell: Cell): void {
    if (!cell.isFresh) {
      cell.isFresh = true;
      this.#marked.add(cell);
    }
    cell.isCold = false;
    if (!this.#isBegun) cell.isHeld = true;
    this.#onTouched();
  }

  bytesBeside(cell: Cell): number {
    return this.#bytes() - cell.bytes;
  }

  #open<T>(key: string, initial: T, options: StateOptions<T>): StateCell<T> {
    const { version = 0 } = options;
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      if (!Number.isSafeInteger(version) || version < 0) {
        const why = `The version of session state ${JSON.stringify(key)} is ${version}: give a whole number from 0.`;
        throw new StateError("version", key, why);
      }
      const stored = this.#undeclared.get(key);
      cell = stored === undefined ? this.#begin(key, version, initial) : this.#restore(key, stored, options);
      this.#cells.set(key, cell);
    } else if (cell.version !== version) {
      const why = `Session state ${JSON.stringify(key)} is declared with version ${cell.version} and with ${version}: declare it once.`;
      throw new StateError("version", key, why);
    }
    return cell as StateCell<unknown> as StateCell<T>;
  }

  #begin(key: string, version: number, initial: unknown): Cell {
    checkValue(key, initial, 0);
    return new Cell(this, { key, version, value: copyOf(imprintOf(initial)), bytes: 0 });
  }

  #restore<T>(key: string, stored: string, options: StateOptions<T>): Cell {
    const { value, migrated } = this.#read(key, stored, options);
    const bytes = Buffer.byteLength(stored);
    if (migrated) checkValue(key, value, this.#bytes() - bytes);
    const cell = new Cell(this, { key, version: options.version ?? 0, value, bytes });
    this.#undeclared.delete(key);
    this.#undeclaredBytes -= bytes;
    if (migrated || this.#undeclaredUnkept !== undefined) {
      cell.renew();
      this.#marked.add(cell);
      this.#onTouched();
    }
    return cell;
  }

  #read<T>(key: string, stored: string, options: StateOptions<T>): ReturnType<typeof readStored<T>> {
    try {
      return readStored(key, stored, options);
    } catch (error) {
      if (error instanceof StateError && error.code === "newer") this.#newer = error;
      throw error;
    }
  }

  #compare(cell: Cell): void {
    if (cell.isFresh) {
      cell.isFresh = false;
      cell.activeAt = this.#comparedAt;
    }
    if (!cell.compare()) return;
    cell.activeAt = this.#comparedAt;
    // No call and no task was there to make this change, so that a reference is held by something else.
    if (cell.isCold && this.#tasks === 0) cell.isHeld = true;
  }

  #bytes(): number {
    let bytes = this.#undeclaredBytes;
    for (const cell of this.#cells.values()) bytes += cell.bytes;
    return bytes;
  }
}
