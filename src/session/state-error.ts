import { faultIn } from "./json-fault.ts";

/** Why session state can't be used as it was: the closed set of codes of {@link StateError}. */
export type StateErrorCode =
  /** A value holds something that JSON can't. */
  | "not-json"
  /** A value, or all of a session's state, is larger than may be kept. */
  | "too-large"
  /** What is kept has a lower version than the code, and the code can't migrate it; or a version is no good. */
  | "version"
  /** What is kept has a higher version than the code. */
  | "newer"
  /** What is kept can't be read at all. */
  | "unreadable"
  /** A key that can't be used. */
  | "key";

/** Thrown where session state is declared or changed; for a change in place, in place of the answer of its call. */
export class StateError extends Error {
  override readonly name = "StateError";
  readonly code: StateErrorCode;
  readonly key: string;

  constructor(code: StateErrorCode, key: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.key = key;
  }
}

/** What of one value, and of all values of a session, is kept at most: bytes of JSON. */
export const maxValueBytes = 1024 * 1024;
export const maxStateBytes = 4 * 1024 * 1024;

/** For a value that isn't plain JSON. */
export function notJson(key: string, value: unknown): StateError {
  const { path, what, next } = faultIn(value) ?? { path: "", what: "no plain JSON", next: "keep plain data" };
  return new StateError(
    "not-json",
    key,
    `Session state ${JSON.stringify(key)} can't keep its value: value${path} is ${what}. State is kept as JSON: ${next}.`,
  );
}

export function tooLarge(key: string): StateError {
  return new StateError(
    "too-large",
    key,
    `Session state ${JSON.stringify(key)} can't keep its value: it is larger than 1 MiB as JSON. ` +
      "Keep what is large elsewhere, and its id here; or spread it over several keys.",
  );
}

export function tooLargeTogether(key: string): StateError {
  return new StateError(
    "too-large",
    key,
    `Session state ${JSON.stringify(key)} can't keep its value: with it the session's state would be larger than 4 MiB. ` +
      "Keep what is large elsewhere, and its id here; or take out what is no longer needed.",
  );
}
