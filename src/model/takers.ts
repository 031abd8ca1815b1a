import { canRead, type FormatRange } from "./formats.ts";

/** A member that could be offered a session. */
export interface Taker {
  readonly tag: string;
  readonly state: "up" | "draining";
  /** Where its peer link is. */
  readonly peer?: string | undefined;
  readonly reads?: FormatRange | undefined;
  /** When it started: milliseconds since 1970. */
  readonly since: number;
}

/**
 * Which nodes are asked, in this order, to take a session that the node `own` can't read: those that are up and read its
 * format, the last started first. During a deploy that is where the newer code runs.
 */
export function takersOf<T extends Taker>(
  members: readonly T[],
  { own, format }: { readonly own: string; readonly format: number | undefined },
): T[] {
  const able = members.filter(
    ({ tag, state, peer, reads }) => tag !== own && state === "up" && peer !== undefined && canRead(reads, format),
  );
  return able.sort((a, b) => b.since - a.since);
}
