import type { StateError } from "./state-error.ts";

/**
 * A session that this code can't take up, because newer code has changed its state. Nothing of it was written: where
 * that code runs it goes on.
 */
export class UnreadableSession extends Error {
  override readonly name = "UnreadableSession";

  constructor(cause: StateError) {
    super(cause.message, { cause });
  }
}
