import type {
  Fence,
  Journal,
  LedgerEntry,
  Lists,
  LoggedEvent,
  Principal,
  SessionRecord,
  StoredSession,
} from "../../ports/registry.ts";
import { inOrder } from "../event-log.ts";
import { type Hash, readHash } from "./hash.ts";

/** What is written of a session's journal: fields and values in turns. */
export function journalFields({ initialize, level, subscriptions, lists }: Partial<Journal>): string[] {
  return [
    ...(initialize === undefined ? [] : ["initialize", initialize]),
    ...(level === undefined ? [] : ["level", level]),
    ...(subscriptions === undefined ? [] : ["subscriptions", JSON.stringify(subscriptions)]),
    ...(lists === undefined ? [] : ["lists", JSON.stringify(lists)]),
  ];
}

/** What is written of a session: fields and values in turns. */
export function sessionFields(record: SessionRecord): string[] {
  const { owner, peer, epoch, createdAt, client, principal, journal, pinned, format } = record;
  return [
    ...["owner", owner.tag, "incarnation", owner.incarnation],
    ...["epoch", String(epoch), "createdAt", String(createdAt)],
    ...(peer === undefined ? [] : ["peer", peer]),
    ...(client === undefined ? [] : ["client", client]),
    ...(principal === undefined ? [] : ["issuer", principal.issuer, "subject", principal.subject]),
    ...(journal === undefined ? [] : journalFields(journal)),
    ...(pinned === undefined ? [] : ["pinned", pinned]),
    ...(format === undefined ? [] : ["format", String(format)]),
  ];
}

export function readSession(id: string, hash: Hash): SessionRecord {
  return {
    id,
    owner: { tag: hash.owner ?? "", incarnation: hash.incarnation ?? "" },
    epoch: Number(hash.epoch),
    createdAt: Number(hash.createdAt),
    peer: hash.peer,
    client: hash.client,
    principal: readPrincipal(hash),
    journal: readJournal(hash),
    pinned: hash.pinned,
    format: hash.format === undefined ? undefined : Number(hash.format),
  };
}

function readPrincipal({ issuer, subject }: Hash): Principal | undefined {
  return issuer === undefined || subject === undefined ? undefined : { issuer, subject };
}

function readJournal({ initialize, level, subscriptions, lists }: Hash): Journal | undefined {
  if (initialize === undefined) return undefined;
  return {
    initialize,
    level,
    subscriptions: subscriptions === undefined ? undefined : (JSON.parse(subscriptions) as string[]),
    lists: lists === undefined ? undefined : (JSON.parse(lists) as Lists),
  };
}

/** Reads owner, incarnation and epoch, as HMGET gives them: nulls for a session that is not there. */
export function readFence(reply: unknown): Fence | undefined {
  if (!Array.isArray(reply) || reply[0] === null) return undefined;
  const [tag, incarnation, epoch] = reply.map(String);
  return { owner: { tag: tag ?? "", incarnation: incarnation ?? "" }, epoch: Number(epoch) };
}

/** An event as an entry of the log. Its time comes first, where a script finds it. */
export function logEntry({ at, sequence, stream, json }: LoggedEvent): string {
  return `${at} ${sequence} ${stream} ${json}`;
}

function readLogEntry(entry: string): LoggedEvent {
  const afterAt = entry.indexOf(" ");
  const afterSequence = entry.indexOf(" ", afterAt + 1);
  const afterStream = entry.indexOf(" ", afterSequence + 1);
  return {
    stream: entry.slice(afterSequence + 1, afterStream),
    sequence: Number(entry.slice(afterAt + 1, afterSequence)),
    json: entry.slice(afterStream + 1),
    at: Number(entry.slice(0, afterAt)),
  };
}

/** Reads all that is kept of a session: its hash, its state, its events and its ledger. */
export function readStored(id: string, reply: readonly unknown[]): StoredSession {
  const [hash = {}, state = {}, ledger = {}] = [reply[0], reply[1], reply[3]].map(readHash);
  const events = (Array.isArray(reply[2]) ? reply[2] : []).map((entry) => readLogEntry(String(entry)));
  const carried = Number(hash.carried ?? 0);
  return {
    record: readSession(id, hash),
    state,
    events: inOrder(events),
    // An owner that wrote its session again may have had no event left to tell its number by.
    sequence: Math.max(Number(hash.sequence ?? 0), carried),
    carried,
    ledger: Object.values(ledger).map((entry) => JSON.parse(entry) as LedgerEntry),
  };
}
