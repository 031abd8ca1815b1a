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

/**
 * Each event once, and those of each stream in their order. Whoever gets no answer to a write doesn't know whether it was
 * done, and writes it again; and after a loss a newer event may be there before the older ones are written again.
 */
export function inOrder(events: readonly LoggedEvent[]): LoggedEvent[] {
  const seen = new Set<string>();
  const streams = new Map<string, LoggedEvent[]>();
  const once = events.filter((event) => {
    const name = `${event.stream} ${event.sequence}`;
    if (seen.has(name)) return false;
    seen.add(name);
    const of = streams.get(event.stream) ?? [];
    of.push(event);
    streams.set(event.stream, of);
    return true;
  });
  const next = new Map<string, Iterator<LoggedEvent>>();
  for (const [stream, of] of streams) next.set(stream, of.sort((a, b) => a.sequence - b.sequence).values());
  return once.map(({ stream }) => next.get(stream)?.next().value as LoggedEvent);
}
