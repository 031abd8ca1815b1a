import { copyOf, type Imprint, imprintOf, matches } from "./json-value.ts";
import type { StateCell } from "./session-context.ts";
import { checkValue, storedForm } from "./stored-value.ts";

/** What a cell needs of the state that it belongs to. */
export interface CellHost {
  touched(cell: Cell): void;
  /** How many bytes of all that is kept are not this cell's. */
  bytesBeside(cell: Cell): number;
}

export interface CellStart {
  readonly key: string;
  readonly version: number;
  readonly value: unknown;
  /** Of what is kept of it; 0 when nothing is. */
  readonly bytes: number;
}

/** One value of a session's state, and what is known to be kept of it. */
export class Cell implements StateCell<unknown> {
  readonly key: string;
  readonly version: number;
  /** Touched since it was last compared. */
  isFresh = false;
  /** Since it was last touched there was a moment without a call in flight and without a task. */
  isCold = false;
  /** Somebody is known to hold a reference for long. */
  isHeld = false;
  /** When it was last touched or found changed, or turned cold, as far as comparisons can tell. */
  activeAt = 0;
  /** Of what is kept of it, or will be with the next write. */
  bytes: number;
  readonly #host: CellHost;
  #value: unknown;
  /** What the value was when it was last given out to be kept. Undefined before it could change. */
  #last: Imprint | undefined;
  /** The stored form of {@link #last} that isn't known to be kept, and the changes that it was given out with. */
  #unkept: { readonly stored: string; changes?: object } | undefined;

  constructor(host: CellHost, { key, version, value, bytes }: CellStart) {
    this.#host = host;
    this.key = key;
    this.version = version;
    this.bytes = bytes;
    this.#value = value;
  }

  get value(): unknown {
    const value = this.#value;
    // Nothing of a primitive can change in place, so that to read it is no touch.
    if (typeof value === "object" && value !== null) {
      if (this.#last === undefined) this.#last = imprintOf(value);
      this.#host.touched(this);
    }
    return value;
  }

  set value(value: unknown) {
    this.#check(value);
    if (this.#last === undefined) this.#last = imprintOf(this.#value);
    this.#value = value;
    this.#host.touched(this);
  }

  /** Whether it may change without a touch: whoever got its value may hold a reference to it. */
  get isShared(): boolean {
    return typeof this.#value === "object" && this.#value !== null;
  }

  get isUnkept(): boolean {
    return this.#unkept !== undefined;
  }

  /** Whether something has to be kept that was not given out yet. */
  get isWaiting(): boolean {
    return this.#unkept !== undefined && this.#unkept.changes === undefined;
  }

  /**
   * Notes a value that has changed since it was last given out; gives whether it has. Throws a StateError for what can't
   * be kept, after the last value that could be kept has been put back: whoever holds a reference no longer holds the
   * state.
   */
  compare(): boolean {
    const last = this.#last;
    if (last === undefined || matches(this.#value, last)) return false;
    try {
      this.#check(this.#value);
      this.renew();
    } catch (error) {
      this.#value = copyOf(last);
      throw error;
    }
    return true;
  }

  /** Lets the value be given out to be kept. It must be plain JSON. */
  renew(): void {
    const stored = storedForm(this.version, this.#value);
    this.#last = imprintOf(this.#value);
    this.#unkept = { stored };
    this.bytes = Buffer.byteLength(stored);
  }

  /** What was kept of it is lost: lets what was given out last be given out again. */
  lost(): void {
    const value = this.#last === undefined ? this.#value : copyOf(this.#last);
    this.#unkept = { stored: storedForm(this.version, value) };
  }

  /** Gives out what isn't known to be kept. */
  giveOut(changes: Record<string, string>): void {
    if (this.#unkept === undefined) return;
    changes[this.key] = this.#unkept.stored;
    this.#unkept.changes = changes;
  }

  /** Notes that what was given out with these changes is kept, unless something newer was given out since. */
  kept(changes: object): void {
    if (this.#unkept?.changes === changes) this.#unkept = undefined;
  }

  #check(value: unknown): void {
    checkValue(this.key, value, this.#host.bytesBeside(this));
  }
}
