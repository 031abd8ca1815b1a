import type { NodeRecord } from "../../ports/registry.ts";
import type { Hash } from "./hash.ts";

/** What is written of a node: fields and values in turns. */
export function nodeFields(node: NodeRecord): string[] {
  const { name, tag, incarnation, url, admin, peer, direct, state, pid, since } = node;
  return [
    ...["name", name, "tag", tag, "incarnation", incarnation, "url", url],
    ...(admin === undefined ? [] : ["admin", admin]),
    ...(peer === undefined ? [] : ["peer", peer]),
    ...(direct === undefined ? [] : ["direct", String(direct)]),
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
    direct: hash.direct === undefined ? undefined : hash.direct === "true",
    state: hash.state === "draining" ? "draining" : "up",
    pid: Number(hash.pid),
    since: Number(hash.since),
  };
}
