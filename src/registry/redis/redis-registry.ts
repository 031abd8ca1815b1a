import type { ConnectionOptions } from "node:tls";
import type { Owner } from "../../model/locate.ts";
import type { Log } from "../../ports/log.ts";
import {
  type Claimed,
  type Fence,
  type Generation,
  type HandedOver,
  type Joining,
  type LeaseRenewal,
  type NewOwner,
  type NodeRecord,
  type Registry,
  RegistryError,
  type SessionChanges,
  type SessionRecord,
  type Written,
} from "../../ports/registry.ts";
import { Listeners } from "../listeners.ts";
import { longestTtlMs } from "../session-ttl.ts";
import { type ClientSettings, defaultDeadlines, type RedisDeadlines } from "./client-settings.ts";
import { withDeadline } from "./deadline.ts";
import { describe, toRegistryError } from "./failure.ts";
import { type RedisKeys, redisKeys } from "./keys.ts";
import type { Call, CallOptions, Link } from "./link.ts";
import { openLink } from "./open-link.ts";
import { Reachability, type ReachabilityChange } from "./reachability.ts";
import { RedisGenerations } from "./redis-generations.ts";
import { RedisNodes, readLeft } from "./redis-nodes.ts";
import { RedisSessions } from "./redis-sessions.ts";
import { parseRedisUrl } from "./redis-url.ts";
import type { Send } from "./scripts.ts";
import { Startup } from "./startup.ts";
import { Subscription } from "./subscription.ts";
import { UnreplicatedWrites } from "./unreplicated-writes.ts";

export interface RedisRegistryOptions {
  readonly url: string;
  readonly namespace: string;
  readonly log: Log;
  /** For how long a session is kept since its last use: milliseconds; 30 days, unless given. */
  readonly sessionTtlMs?: number | undefined;
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
  readonly #subscription: Subscription;
  readonly #sessions: RedisSessions;
  readonly #generations: RedisGenerations;
  readonly #nodes: RedisNodes;
  readonly #reachability: Reachability;
  readonly #startup: Startup;
  readonly #closedListeners = new Listeners<string>();
  readonly #nodesListeners = new Listeners<Owner | undefined>();
  readonly #reachableListeners = new Listeners<boolean>();
  readonly #heardAgainListeners = new Listeners<void>();
  readonly #unreplicated: UnreplicatedWrites;
  #state: "new" | "started" | "stopped" = "new";
  /** The key of the call that failed last: where to ask for a sign of life. */
  #suspect: string;

  constructor({ url, namespace, log, sessionTtlMs = longestTtlMs, deadlines, tls }: RedisRegistryOptions) {
    this.#settings = { target: parseRedisUrl(url), deadlines: { ...defaultDeadlines, ...deadlines }, tls };
    this.#keys = redisKeys(namespace);
    this.#suspect = this.#keys.nodes;
    this.#log = log;
    this.#unreplicated = new UnreplicatedWrites(log, this.#settings.target.shown);
    this.#startup = new Startup(this.#settings);
    this.#link = openLink(this.#settings, {
      onUp: (address) => {
        if (address !== undefined) this.#subscription.follow(address);
        this.#startup.up("commands");
      },
      onFailure: (error) => {
        this.#startup.failed(error);
        if (this.#state === "started") this.#reachability.failed(error);
      },
      onNotReplicated: (writes, why) => this.#unreplicated.add(writes, why),
    });
    const call: Call = (...args) => this.#call(...args);
    const { generation, generations } = this.#keys;
    this.#sessions = new RedisSessions(this.#keys, call, sessionTtlMs);
    this.#generations = new RedisGenerations(this.#link.oneServer ? [generation] : generations, call);
    this.#nodes = new RedisNodes(this.#keys, call);
    this.#subscription = new Subscription({
      settings: this.#settings,
      channels: {
        [this.#keys.closed]: (id) => this.#closedListeners.tell(id),
        [this.#keys.nodesChanged]: (told) => this.#nodesListeners.tell(readLeft(told)),
      },
      locate: (signal) => this.#link.subscriberAddress(signal),
      log,
      onUp: () => this.#startup.up("subscription"),
      onUpAgain: () => this.#heardAgainListeners.tell(),
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
    this.#subscription.start();
    try {
      const { nodes } = this.#keys;
      await this.#startup.done((signal) => this.#link.send(nodes, ["TTL", nodes], signal));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#state = "started";
  }

  claim(record: SessionRecord, number?: number): Promise<Claimed> {
    return this.#sessions.claim(record, number);
  }

  find(id: string): Promise<SessionRecord | undefined> {
    return this.#sessions.find(id);
  }

  owners(ids: readonly string[]): Promise<readonly (Fence | undefined)[]> {
    return this.#sessions.owners(ids);
  }

  write(id: string, fence: Fence, changes: SessionChanges, number?: number): Promise<Written> {
    return this.#sessions.write(id, fence, changes, number);
  }

  handOver(id: string, epoch: number, to: NewOwner): Promise<HandedOver> {
    return this.#sessions.handOver(id, epoch, to);
  }

  renew(ids: readonly string[]): Promise<readonly string[]> {
    return this.#sessions.renew(ids);
  }

  close(id: string, options: { readonly remember?: boolean } = {}): Promise<boolean> {
    return this.#sessions.close(id, options);
  }

  generation(known: string | undefined): Promise<Generation> {
    return this.#generations.generation(known);
  }

  onClosed(listener: (id: string) => void): () => void {
    return this.#closedListeners.add(listener);
  }

  onHeardAgain(listener: () => void): () => void {
    return this.#heardAgainListeners.add(listener);
  }

  join(node: NodeRecord, leaseMs: number): Promise<Joining> {
    return this.#nodes.join(node, leaseMs);
  }

  renewLease(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal> {
    return this.#nodes.renewLease(node, leaseMs);
  }

  leave(node: NodeRecord): Promise<void> {
    return this.#nodes.leave(node);
  }

  nodes(): Promise<readonly NodeRecord[]> {
    return this.#nodes.all();
  }

  node(tag: string): Promise<NodeRecord | undefined> {
    return this.#nodes.find(tag);
  }

  onNodesChanged(listener: (left: Owner | undefined) => void): () => void {
    return this.#nodesListeners.add(listener);
  }

  async sharedSecret(offered: string): Promise<string> {
    const { secret } = this.#keys;
    const doing = "share a secret";
    await this.#call({ doing, key: secret }, (send) => send(secret, ["SET", secret, offered, "NX"]));
    return String(await this.#call({ doing, key: secret }, (send) => send(secret, ["GET", secret])));
  }

  get unreplicatedWrites(): number {
    return this.#unreplicated.count;
  }

  onReachable(listener: (reachable: boolean) => void): () => void {
    return this.#reachableListeners.add(listener);
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#startup.stop();
    this.#reachability.stop();
    await Promise.all([this.#link.stop(), this.#subscription.stop()]);
  }

  /** One verb, within its deadline; whatever it fails with comes out as a RegistryError. */
  async #call(
    { doing, key, replicated = false }: CallOptions,
    verb: (send: Send) => Promise<unknown>,
  ): Promise<unknown> {
    const { target, deadlines } = this.#settings;
    if (this.#state !== "started") {
      throw new RegistryError("unavailable", `The registry can't ${doing}: it is ${this.#state}, not started.`);
    }
    const known = this.#reachability.lastFailure;
    if (known !== undefined && this.#link.oneServer) throw toRegistryError(known, doing, target);
    const late = () => new Error(`no answer within ${deadlines.call} ms`);
    try {
      return await withDeadline({ ms: deadlines.call, late }, (signal) =>
        verb((sendKey, command) =>
          replicated ? this.#link.sendReplicated(sendKey, command, signal) : this.#link.send(sendKey, command, signal),
        ),
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
