import { tagPattern } from "../model/tag.ts";
import type { NodeRecord } from "../ports/registry.ts";
import { heirOf } from "./heir.ts";
import type { ClusterView, EdgeNode } from "./view.ts";

/** What the edge goes by when a node is missing, in milliseconds. */
export interface EdgeTimes {
  /** For how long a node counts as up without a sign of life. */
  readonly lease: number;
  /** After how long a missing node is gone for good, and its tag inherited. */
  readonly goneAfter: number;
}

/** One look at the cluster. */
export interface Observation {
  /** The nodes that the registry knows; undefined when it did not answer. */
  readonly nodes: readonly NodeRecord[] | undefined;
  /** The tags of nodes that are known to have ended, whatever the registry says. */
  readonly ended?: readonly string[] | undefined;
}

/** How many leases a node is missing, unless told otherwise, before it is gone for good. */
export const leasesUntilGone = 10;

interface KnownNode {
  readonly name: string;
  readonly url: string;
  /** As it said last. */
  readonly state: "up" | "draining";
  /** For how long the registry has answered without it; undefined while it is there. */
  readonly missingMs: number | undefined;
}

/** What is known of the cluster from all looks so far. */
export interface Knowledge {
  /** By tag. */
  readonly nodes: ReadonlyMap<string, KnownNode>;
  /** The tags of nodes that are gone for good, the oldest first. */
  readonly gone: readonly string[];
  /** When the registry answered last; undefined after silence, or an answer without any node. */
  readonly answeredAt: number | undefined;
  /** Until then a node that is missing still counts as what it was. */
  readonly settledAt: number;
}

/** Tags of nodes that are gone, remembered at most: with new names at each deploy there would be ever more. */
const mostGone = 1_000;

export const nothingKnown: Knowledge = {
  nodes: new Map(),
  gone: [],
  answeredAt: undefined,
  settledAt: Number.NEGATIVE_INFINITY,
};

/**
 * Adds a look at the cluster to what is known. Time is an argument: milliseconds on any clock that only goes forward.
 *
 * An answer without any node is no news: a registry that was emptied gives it, and so does a cluster that is gone,
 * whose nodes the edge's own health checks find out about. After silence, or such an answer, nodes that the registry
 * doesn't list are given a lease to join it again.
 */
export function observe(before: Knowledge, seen: Observation, now: number, times: EdgeTimes): Knowledge {
  const ended = new Set(seen.ended);
  const silent = (seen.nodes ?? []).length === 0;
  const back = !silent && before.answeredAt === undefined && before.nodes.size > 0;
  const settledAt = back ? now + times.lease : before.settledAt;
  // The time that a node has been missing counts only while the registry answers.
  const step = before.answeredAt === undefined ? 0 : Math.max(0, now - before.answeredAt);

  const nodes = new Map<string, KnownNode>();
  const gone = new Set(before.gone);
  for (const [tag, node] of before.nodes) {
    const believed = silent || (now < settledAt && !ended.has(tag));
    const missingMs = believed ? node.missingMs : node.missingMs === undefined ? 0 : node.missingMs + step;
    if (missingMs !== undefined && missingMs >= times.goneAfter) gone.add(tag);
    else nodes.set(tag, { ...node, missingMs: ended.has(tag) ? (missingMs ?? 0) : missingMs });
  }
  for (const node of seen.nodes ?? []) {
    const { tag, name, url, state } = node;
    if (ended.has(tag) || unfit(node) !== undefined) continue;
    nodes.set(tag, { name, url: new URL(url).origin, state, missingMs: undefined });
    gone.delete(tag);
  }
  return {
    nodes,
    gone: [...gone].slice(-mostGone),
    answeredAt: silent ? undefined : now,
    settledAt,
  };
}

/** The view of what is known, or undefined as long as nothing is. */
export function viewOf({ nodes, gone }: Knowledge): ClusterView | undefined {
  if (nodes.size === 0) return undefined;
  const known = [...nodes].map(
    ([tag, { name, url, state, missingMs }]): EdgeNode => ({
      name,
      tag,
      url,
      state: missingMs === undefined ? state : "down",
    }),
  );
  const candidates = known.filter(({ state }) => state === "up").map(({ tag }) => tag);
  const inherited = new Map<string, string[]>();
  for (const tag of gone) {
    const heir = heirOf(tag, candidates);
    if (heir !== undefined) inherited.set(heir, [...(inherited.get(heir) ?? []), tag]);
  }
  return {
    nodes: known
      .map((node) => (inherited.has(node.tag) ? { ...node, inherits: inherited.get(node.tag)?.sort() } : node))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/**
 * Says why a record can't stand in a balancer's configuration, or undefined. What is in the registry becomes part of
 * rules and addresses there: a record of any other form could say anything in them.
 */
export function unfit({
  name,
  tag,
  url,
  state,
}: Pick<NodeRecord, "name" | "tag" | "url" | "state">): string | undefined {
  if (!tagPattern.test(tag)) return `its tag is "${tag}"`;
  if (name === "") return "it has no name (--name)";
  if (state !== "up" && state !== "draining") return `its state is "${state}"`;
  const { protocol, username, hostname } = URL.canParse(url) ? new URL(url) : {};
  if (protocol === undefined || !/^https?:$/.test(protocol) || username !== "" || !plainHost.test(hostname ?? "")) {
    return `its address is "${url}", where http://host:port is needed (--advertise)`;
  }
  return undefined;
}

const plainHost = /^(\[[0-9a-f:.]+\]|[\w.-]+)$/i;
