import type { NodeRecord, SessionRecord } from "../../ports/registry.ts";

/** A hash as Redis gives it: as a map, or as fields and values in turns. */
type Hash = Record<string, string>;

/** Reads the answer to HGETALL; an empty hash is a key that is not there. */
export function readHash(reply: unknown): Hash | undefined {
  if (typeof reply !== "object" || reply === null) return undefined;
  const entries = Array.isArray(reply) ? inPairs(reply) : reply instanceof Map ? [...reply] : Object.entries(reply);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([field, value]) => [String(field), String(value)]));
}

/** What is written of a session: fields and values in turns. */
export function sessionFields({ owner, epoch, createdAt, client }: SessionRecord): string[] {
  return [
    ...["owner", owner.tag, "incarnation", owner.incarnation],
    ...["epoch", String(epoch), "createdAt", String(createdAt)],
    ...(client === undefined ? [] : ["client", client]),
  ];
}

export function readSession(id: string, hash: Hash): SessionRecord {
  return {
    id,
    owner: { tag: hash.owner ?? "", incarnation: hash.incarnation ?? "" },
    epoch: Number(hash.epoch),
    createdAt: Number(hash.createdAt),
    client: hash.client,
  };
}

/** What is written of a node: fields and values in turns. */
export function nodeFields({ name, tag, incarnation, url, admin, peer, state, pid, since }: NodeRecord): string[] {
  return [
    ...["name", name, "tag", tag, "incarnation", incarnation, "url", url],
    ...(admin === undefined ? [] : ["admin", admin]),
    ...(peer === undefined ? [] : ["peer", peer]),
    ...["state", state, "pid", String(pid), "since", String(since)],
  ];
}

export function readNode(tag: string, hash: Hash): NodeRecord {
  return {
    name: hash.name ?? "",
    tag,
    incarnation: hash.incarnation ?? "",
    url: hash.url ?? "",
    admin: hash.admin,
    peer: hash.peer,
    state: hash.state === "draining" ? "draining" : "up",
    pid: Number(hash.pid),
    since: Number(hash.since),
  };
}

function inPairs(list: readonly unknown[]): [unknown, unknown][] {
  const pairs: [unknown, unknown][] = [];
  for (let index = 0; index + 1 < list.length; index += 2) pairs.push([list[index], list[index + 1]]);
  return pairs;
}
