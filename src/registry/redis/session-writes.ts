import type { Fence, SessionChanges } from "../../ports/registry.ts";
import { logBounds, standaloneStream } from "../event-log.ts";
import { journalFields, logEntry } from "./session-records.ts";

/** What write.lua takes, as it stands at its head. */
export function writeArguments(
  { owner, epoch }: Fence,
  changes: SessionChanges,
  { ttlMs, now, number }: { readonly ttlMs: string; readonly now: number; readonly number: number | undefined },
): string[] {
  const { state = {}, events = [], begun = [], ended = [] } = changes;
  const set: string[] = [];
  const gone: string[] = [];
  for (const [key, value] of Object.entries(state)) {
    if (value === undefined) gone.push(key);
    else set.push(key, value);
  }
  const values = [
    set,
    gone,
    [...hashFields(changes), ...numberField(number)],
    ended,
    begun.flatMap((entry) => [entry.request, JSON.stringify(entry)]),
    events.map(logEntry),
  ];
  return [
    ...[owner.tag, owner.incarnation, String(epoch), ttlMs],
    ...values.map((list) => String(list.length)),
    ...[logBounds.count, logBounds.bytes, now - logBounds.age, logBounds.age, number ?? ""].map(String),
    ...values.flat(),
  ];
}

/** Where the number of the last claim or write stands in the session's own hash: field and value. */
export function numberField(number: number | undefined): string[] {
  return number === undefined ? [] : ["number", String(number)];
}

/** What changes in the session's own hash: fields and values in turns. */
function hashFields({ events = [], carried, journal = {}, pinned }: SessionChanges): string[] {
  const sequence = events.reduce((newest, event) => (event.stream === standaloneStream ? event.sequence : newest), 0);
  return [
    ...(sequence === 0 ? [] : ["sequence", String(sequence)]),
    ...(carried === undefined ? [] : ["carried", String(carried)]),
    ...journalFields(journal),
    ...(pinned === undefined ? [] : ["pinned", pinned]),
  ];
}
