import type { ConnectionOptions } from "node:tls";
import type { Log } from "../../ports/log.ts";
import { type NodeRecord, type Registry, RegistryError, type SessionRecord } from "../../ports/registry.ts";
import { Listeners } from "../listeners.ts";
import { sessionTtlMs } from "../session-ttl.ts";
import { type ClientSettings, defaultDeadlines, type RedisDeadlines } from "./client-settings.ts";
import { CloseSubscription } from "./close-subscription.ts";
import { withDeadline } from "./deadline.ts";
import { describe, toRegistryError } from "./failure.ts";
import { type RedisKeys, redisKeys } from "./keys.ts";
import type { Link } from "./link.ts";
import { openLink } from "./open-link.ts";
import { Reachability, type ReachabilityChange } from "./reachability.ts";
import { nodeFields, readHash, readNode, readSession, sessionFields } from "./records.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { runScript, type Script, type Send, scripts } from "./scripts.ts";
import { Startup } from "./startup.ts";

export interface RedisRegistryOptions {
  readonly url: string;
  readonly namespace: string;
  readonly log: Log;
  readonly deadlines?: Partial<RedisDeadlines>;
  /** More for TLS than Node's defaults and NODE_EXTRA_CA_CERTS. */
  readonly tls?: ConnectionOptions;
}

/** The registry in Redis: one server, one watched by Sentinels, or a cluster. */
export class RedisRegistry implements Registry {
  readonly #settings: ClientSettings;
  readonly #keys: RedisKeys;
  readonly #log: Log;
  readonly #link: Link;
  readonly #closes: CloseSubscription;
  readonly #reachability: Reachability;
  readonly #startup: Startup;
  readonly #closedListeners = new Listeners<string>();
  readonly #reachableListeners = new Listeners<boolean>();
  #state: "new" | "started" | "stopped" = "new";
  /** The key of the call that failed last: where to ask for a sign of life. */
  #suspect: string;
  /** The score in the index of nodes that this registry gave each node which it joined. */
  readonly #scores = new Map<string, number>();

  constructor({ url, namespace, log, deadlines, tls }: RedisRegistryOptions) {
    this.#settings = { target: parseRedisUrl(url), deadlines: { ...defaultDeadlines, ...deadlines }, tls };
    this.#keys = redisKeys(namespace);
    this.#suspect = this.#keys.nodes;
    this.#log = log;
    this.#startup = new Startup(this.#settings);
    this.#link = openLink(this.#settings, {
      onUp: (address) => {
        if (address !== undefined) this.#closes.follow(address);
        this.#startup.up("commands");
      },
      onFailure: (error) => {
        this.#startup.failed(error);
        if (this.#state === "started") this.#reachability.failed(error);
      },
    });
    this.#closes = new CloseSubscription({
      settings: this.#settings,
      channel: this.#keys.closed,
      locate: (signal) => this.#link.subscriberAddress(signal),
      log,
      onClosed: (id) => this.#closedListeners.tell(id),
      onUp: () => this.#startup.up("closes"),
      onFailure: (error) => this.#startup.failed(error),
    });
    this.#reachability = new Reachability({
      probe: (signal) => this.#link.probe(this.#suspect, signal),
      withinMs: this.#settings.deadlines.call,
      silenceMs: this.#settings.deadlines.silence,
      onSilence: () => this.#link.renew(),
      onChange: (change) => this.#tellReachable(change),
    });
  }

  async start(): Promise<void> {
    if (this.#state !== "new") throw new Error(`A registry is started once; this one is ${this.#state} already.`);
    this.#link.start();
    this.#closes.start();
    try {
      const { nodes } = this.#keys;
      await this.#startup.done((signal) => this.#link.send(nodes, ["TTL", nodes], signal));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#state = "started";
  }

  async claim(record: SessionRecord): Promise<void> {
    const key = this.#keys.session(record.id);
    await this.#run("note a new session", scripts.claim, key, [String(sessionTtlMs), ...sessionFields(record)]);
  }

  async find(id: string): Promise<SessionRecord | undefined> {
    const key = this.#keys.session(id);
    const hash = readHash(await this.#call("find a session", key, (send) => send(key, ["HGETALL", key])));
    return hash === undefined ? undefined : readSession(id, hash);
  }

  async renew(ids: readonly string[]): Promise<readonly string[]> {
    const renewed = await Promise.all(
      ids.map((id) => {
        const key = this.#keys.session(id);
        return this.#call("renew sessions", key, (send) => send(key, ["PEXPIRE", key, String(sessionTtlMs)]));
      }),
    );
    return ids.filter((_, index) => Number(renewed[index]) !== 1);
  }

  async close(id: string): Promise<boolean> {
    const args = [this.#keys.closed, id];
    return Number(await this.#run("close a session", scripts.close, this.#keys.session(id), args)) === 1;
  }

  onClosed(listener: (id: string) => void): () => void {
    return this.#closedListeners.add(listener);
  }

  async join(node: NodeRecord, ttlMs: number): Promise<void> {
    const key = this.#keys.node(node.tag);
    await this.#run("note a node", scripts.join, key, [String(ttlMs), ...nodeFields(node)]);
    // After the node itself, so that whoever finds it missing sees another score here when it takes tags out.
    const score = Date.now() + ttlMs;
    const { nodes } = this.#keys;
    await this.#call("note a node", nodes, (send) => send(nodes, ["ZADD", nodes, String(score), node.tag]));
    this.#scores.set(node.tag, score);
  }

  async leave(node: NodeRecord): Promise<void> {
    const removed = await this.#run("remove a node", scripts.leave, this.#keys.node(node.tag), [node.incarnation]);
    const score = this.#scores.get(node.tag);
    this.#scores.delete(node.tag);
    if (Number(removed) === 1 && score !== undefined) await this.#forgetNodes([[node.tag, score]]);
  }

  async nodes(): Promise<readonly NodeRecord[]> {
    const { nodes } = this.#keys;
    const reply = await this.#call("list the nodes", nodes, (send) =>
      send(nodes, ["ZRANGE", nodes, "0", "-1", "WITHSCORES"]),
    );
    const index = readScores(reply);
    const found = await Promise.all(index.map(([tag]) => this.node(tag)));
    const gone = index.filter((_, position) => found[position] === undefined);
    if (gone.length > 0) await this.#forgetNodes(gone);
    return found.filter((node) => node !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async node(tag: string): Promise<NodeRecord | undefined> {
    const key = this.#keys.node(tag);
    const hash = readHash(await this.#call("find a node", key, (send) => send(key, ["HGETALL", key])));
    return hash === undefined ? undefined : readNode(tag, hash);
  }

  onReachable(listener: (reachable: boolean) => void): () => void {
    return this.#reachableListeners.add(listener);
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#startup.stop();
    this.#reachability.stop();
    await Promise.all([this.#link.stop(), this.#closes.stop()]);
  }

  async #forgetNodes(gone: readonly (readonly [tag: string, score: number])[]): Promise<void> {
    const args = gone.flatMap(([tag, score]) => [tag, String(score)]);
    await this.#run("forget nodes that are gone", scripts.forgetNodes, this.#keys.nodes, args);
  }

  #run(doing: string, script: Script, key: string, args: string[]): Promise<unknown> {
    return this.#call(doing, key, (send) => runScript(send, script, key, args));
  }

  /** One verb, within its deadline; whatever it fails with comes out as a RegistryError. */
  async #call(doing: string, key: string, verb: (send: Send) => Promise<unknown>): Promise<unknown> {
    const { target, deadlines } = this.#settings;
    if (this.#state !== "started") {
      throw new RegistryError("unavailable", `The registry can't ${doing}: it is ${this.#state}, not started.`);
    }
    const known = this.#reachability.lastFailure;
    if (known !== undefined && this.#link.oneServer) throw toRegistryError(known, doing, target);
    const late = () => new Error(`no answer within ${deadlines.call} ms`);
    try {
      return await withDeadline({ ms: deadlines.call, late }, (signal) =>
        verb((sendKey, command) => this.#link.send(sendKey, command, signal)),
      );
    } catch (error) {
      const failure = toRegistryError(error, doing, target);
      if (failure.code === "unavailable") {
        this.#suspect = key;
        this.#reachability.failed(error instanceof Error ? error : failure);
      }
      throw failure;
    }
  }

  #tellReachable(change: ReachabilityChange): void {
    const redis = this.#settings.target.shown;
    if (change.reachable) this.#log.info("registry-up", { redis, downMs: change.downMs });
    else this.#log.warn("registry-down", { redis, why: describe(change.reason) });
    this.#reachableListeners.tell(change.reachable);
  }
}

/** Reads members and scores: in pairs, or in turns from servers of the older protocol. */
function readScores(reply: unknown): (readonly [tag: string, score: number])[] {
  const flat = Array.isArray(reply) ? reply.flat() : [];
  return flat.flatMap((tag, index) => (index % 2 === 0 ? [[String(tag), Number(flat[index + 1])] as const] : []));
}
