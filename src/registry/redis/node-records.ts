import type { FormatRange } from "../../model/formats.ts";
import type { NodeRecord } from "../../ports/registry.ts";
import type { Hash } from "./hash.ts";

/** What is written of a node: fields and values in turns. */
export function nodeFields(node: NodeRecord): string[] {
  const { name, tag, incarnation, url, admin, peer, direct, reads, state, pid, since } = node;
  return [
    ...["name", name, "tag", tag, "incarnation", incarnation, "url", url],
    ...(admin === undefined ? [] : ["admin", admin]),
    ...(peer === undefined ? [] : ["peer", peer]),
    ...(direct === undefined ? [] : ["direct", String(direct)]),
    ...(reads === undefined ? [] : ["reads", `${reads.oldest}-${reads.newest}`]),
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
    reads: readFormats(hash.reads),
    state: hash.state === "draining" ? "draining" : "up",
    pid: Number(hash.pid),
    since: Number(hash.since),
  };
}

function readFormats(text: string | undefined): FormatRange | undefined {
  const [, oldest, newest] = text?.match(/^(\d+)-(\d+)$/) ?? [];
  return newest === undefined ? undefined : { oldest: Number(oldest), newest: Number(newest) };
}
