import type { Owner } from "../../model/locate.ts";
import type { Joining, LeaseRenewal, NodeRecord } from "../../ports/registry.ts";
import { readHash } from "./hash.ts";
import type { RedisKeys } from "./keys.ts";
import type { Call } from "./link.ts";
import { nodeFields, readNode } from "./node-records.ts";
import { runScript, type Script, scripts } from "./scripts.ts";

/** The nodes in Redis: a key for each that lives as long as its lease, and an index of their tags. */
export class RedisNodes {
  readonly #keys: RedisKeys;
  readonly #call: Call;
  /** The score in the index that each node got which joined through here. */
  readonly #scores = new Map<string, number>();

  constructor(keys: RedisKeys, call: Call) {
    this.#keys = keys;
    this.#call = call;
  }

  async join(node: NodeRecord, leaseMs: number): Promise<Joining> {
    const { tag, incarnation } = node;
    const args = [incarnation, String(leaseMs), ...nodeFields(node)];
    const [leftMs, holder] = (await this.#run("note a node", scripts.join, this.#keys.node(tag), args)) as unknown[];
    const hash = readHash(holder);
    if (hash !== undefined) return { kind: "held", by: readNode(tag, hash), leftMs: Number(leftMs) };
    // After the node itself, so that whoever finds it missing sees another score here when it takes tags out.
    const { nodes, nodesChanged } = this.#keys;
    await this.#run("note a node", scripts.indexNode, nodes, [this.#scored(tag, leaseMs), tag, nodesChanged]);
    return { kind: "joined" };
  }

  async renewLease({ tag, incarnation }: NodeRecord, leaseMs: number): Promise<LeaseRenewal> {
    const args = [incarnation, String(leaseMs)];
    const reply = await this.#run("renew a lease", scripts.renewLease, this.#keys.node(tag), args);
    if (Number(reply) !== 1) {
      const hash = readHash(reply);
      return { kind: "lost", to: hash === undefined ? undefined : readNode(tag, hash) };
    }
    // Each time: the index has a place of its own in a cluster, and may be lost alone.
    const { nodes } = this.#keys;
    await this.#call({ doing: "renew a lease", key: nodes }, (send) =>
      send(nodes, ["ZADD", nodes, this.#scored(tag, leaseMs), tag]),
    );
    return { kind: "renewed" };
  }

  async leave({ tag, incarnation }: NodeRecord): Promise<void> {
    const args = [incarnation, this.#keys.nodesChanged, writeLeft({ tag, incarnation })];
    const removed = await this.#run("remove a node", scripts.leave, this.#keys.node(tag), args);
    const score = this.#scores.get(tag);
    this.#scores.delete(tag);
    if (Number(removed) === 1 && score !== undefined) await this.#forget([[tag, score]]);
  }

  async all(): Promise<readonly NodeRecord[]> {
    const { nodes } = this.#keys;
    const reply = await this.#call({ doing: "list the nodes", key: nodes }, (send) =>
      send(nodes, ["ZRANGE", nodes, "0", "-1", "WITHSCORES"]),
    );
    const index = readScores(reply);
    const found = await Promise.all(index.map(([tag]) => this.find(tag)));
    const gone = index.filter((_, position) => found[position] === undefined);
    if (gone.length > 0) await this.#forget(gone);
    return found.filter((node) => node !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async find(tag: string): Promise<NodeRecord | undefined> {
    const key = this.#keys.node(tag);
    const hash = readHash(await this.#call({ doing: "find a node", key }, (send) => send(key, ["HGETALL", key])));
    return hash === undefined ? undefined : readNode(tag, hash);
  }

  /** The score of a tag whose lease begins now; kept, so that the entry can be taken out by it. */
  #scored(tag: string, leaseMs: number): string {
    const score = Date.now() + leaseMs;
    this.#scores.set(tag, score);
    return String(score);
  }

  async #forget(gone: readonly (readonly [tag: string, score: number])[]): Promise<void> {
    const args = gone.flatMap(([tag, score]) => [tag, String(score)]);
    await this.#run("forget nodes that are gone", scripts.forgetNodes, this.#keys.nodes, args);
  }

  #run(doing: string, script: Script, key: string, args: string[]): Promise<unknown> {
    return this.#call({ doing, key }, (send) => runScript(send, script, [key], args));
  }
}

/** What nodes are told when one leaves; of any other change they are told the tag. */
function writeLeft({ tag, incarnation }: Owner): string {
  return `${tag} left ${incarnation}`;
}

/** Who left, if that is what nodes were told. */
export function readLeft(told: string): Owner | undefined {
  const [, tag, incarnation] = /^(\S+) left (\S+)$/.exec(told) ?? [];
  return tag === undefined || incarnation === undefined ? undefined : { tag, incarnation };
}

/** Reads members and scores: in pairs, or in turns from servers of the older protocol. */
function readScores(reply: unknown): (readonly [tag: string, score: number])[] {
  const flat = Array.isArray(reply) ? reply.flat() : [];
  return flat.flatMap((tag, index) => (index % 2 === 0 ? [[String(tag), Number(flat[index + 1])] as const] : []));
}
