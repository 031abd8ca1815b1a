import { sizeOf } from "./json-value.ts";
import type { StateOptions } from "./session-context.ts";
import { maxStateBytes, maxValueBytes, notJson, StateError, tooLarge, tooLargeTogether } from "./state-error.ts";

/** How a value is kept: `v` is its version (0 when absent), `d` the value. */
interface Stored {
  readonly v?: number;
  readonly d: unknown;
}

/** The stored form of a value, which must be plain JSON. */
export function storedForm(version: number, value: unknown): string {
  const json = JSON.stringify(value);
  return version === 0 ? `{"d":${json}}` : `{"v":${version},"d":${json}}`;
}

/** Throws a StateError unless a value is plain JSON and small enough, beside so many bytes of the session's other state. */
export function checkValue(key: string, value: unknown, bytesBeside: number): void {
  const size = sizeOf(value, maxValueBytes);
  if (size === undefined) throw notJson(key, value);
  if (size.atMost <= maxValueBytes && bytesBeside + size.atMost <= maxStateBytes) return;
  if (size.atLeast > maxValueBytes) throw tooLarge(key);
  // Only what may be too large is written out to be measured.
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > maxValueBytes) throw tooLarge(key);
  if (bytesBeside + bytes > maxStateBytes) throw tooLargeTogether(key);
}

/** Reads a stored form for code that declares a version. Throws a StateError when that code can't use it. */
export function readStored<T>(
  key: string,
  stored: string,
  { version = 0, migrate }: StateOptions<T>,
): { readonly value: unknown; readonly migrated: boolean } {
  const { v: from = 0, d: value } = parse(key, stored);
  if (from === version) return { value, migrated: false };
  const name = `Session state ${JSON.stringify(key)}`;
  if (from > version) {
    const next = "let nodes of the newer version serve this session, or declare that version";
    throw new StateError("newer", key, `${name} is kept with version ${from}, and this code has ${version}: ${next}.`);
  }
  if (migrate === undefined) {
    const next = `give state() a migrate(value, fromVersion) that makes version ${version} of it`;
    throw new StateError(
      "version",
      key,
      `${name} is kept with version ${from}, and this code has ${version}: ${next}.`,
    );
  }
  try {
    return { value: migrate(value, from), migrated: true };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const next = "mend its migrate(value, fromVersion)";
    throw new StateError("version", key, `${name} could not be migrated from version ${from}: ${why}: ${next}.`, {
      cause,
    });
  }
}

function parse(key: string, stored: string): Stored {
  let parsed: unknown;
  let cause: unknown;
  try {
    parsed = JSON.parse(stored);
  } catch (error) {
    cause = error;
  }
  if (typeof parsed === "object" && parsed !== null && "d" in parsed) return parsed as Stored;
  const next = "it was not written by Mooring; close the session, and let its client begin another";
  const why = `Session state ${JSON.stringify(key)} is kept in a form that can't be read: ${next}.`;
  throw new StateError("unreadable", key, why, { cause });
}
