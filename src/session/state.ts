import type { StateCell } from "./session-context.ts";

/** The state of one session, by key. */
export class SessionState {
  readonly #cells = new Map<string, StateCell<unknown>>();

  /** The cell of a key. `initial` is copied, so that a default made once per process is not shared by sessions. */
  cell<T>(key: string, initial: T): StateCell<T> {
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = { value: structuredClone(initial) };
      this.#cells.set(key, cell);
    }
    return cell as StateCell<T>;
  }
}
