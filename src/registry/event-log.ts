import type { LoggedEvent } from "../ports/registry.ts";

/** The name of a session's standalone stream in its log of events. */
export const standaloneStream = "s";

/** What is kept of a session's log of events: the newest, within all three. */
export const logBounds = {
  count: 1_000,
  bytes: 1024 * 1024,
  /** Milliseconds. */
  age: 5 * 60 * 1_000,
} as const;

/** Each event once: whoever gets no answer to a write doesn't know whether it was done, and writes it again. */
export function withoutRepeats(events: readonly LoggedEvent[]): LoggedEvent[] {
  const seen = new Set<string>();
  return events.filter(({ stream, sequence }) => {
    const name = `${stream} ${sequence}`;
    return !seen.has(name) && seen.add(name);
  });
}
