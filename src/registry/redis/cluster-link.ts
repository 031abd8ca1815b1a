import { createCluster } from "redis";
import { type ClientSettings, commonOptions, credentials, socketOptions } from "./client-settings.ts";
import { backOff, pause, withDeadline } from "./deadline.ts";
import { describe, isRedirect } from "./failure.ts";
import type { Link, LinkEvents } from "./link.ts";
import type { Address, RedisTarget } from "./redis-url.ts";
import { ReplicaWaits } from "./replica-waits.ts";

type ClusterTarget = Extract<RedisTarget, { kind: "cluster" }>;

/** Calls that may wait for a shard whose first connection is still being made. */
const mostWaiting = 10_000;

function createClient(settings: ClientSettings, { seeds }: ClusterTarget) {
  return createCluster({
    rootNodes: seeds.map((address) => ({ socket: { ...address } })),
    // A shard that is down must not keep the others from being used: each is connected when it is first needed.
    minimizeConnections: true,
    topologyRefreshOnReconnectionAttemptStrategy: 1_000,
    commandOptions: commonOptions.commandOptions,
    defaults: {
      ...commonOptions,
      ...credentials(settings),
      pingInterval: settings.deadlines.silence / 3,
      socket: {
        ...socketOptions(settings),
        reconnectStrategy: (attempt: number) => backOff(attempt),
        // Also what ends a connection on which a seed's answer to "which slots are where" is waited for.
        socketTimeout: settings.deadlines.silence,
      },
    },
  });
}

type ClusterClient = ReturnType<typeof createClient>;

/** The way to a Redis Cluster. The official client knows which node holds which key, and follows when slots move. */
export class ClusterLink implements Link {
  readonly oneServer = false;
  readonly #settings: ClientSettings;
  readonly #target: ClusterTarget;
  readonly #events: LinkEvents;
  readonly #stop = new AbortController();
  readonly #replicas: ReplicaWaits;
  #cluster: ClusterClient | undefined;
  #connecting: Promise<void> | undefined;
  #waiting = 0;
  /** Which of the known nodes the next subscriber connects to: any tells what was published on any other. */
  #nextSubscriber = Math.floor(Math.random() * 64);

  constructor(settings: ClientSettings, target: ClusterTarget, events: LinkEvents) {
    this.#settings = settings;
    this.#target = target;
    this.#events = events;
    this.#replicas = new ReplicaWaits({ withinMs: settings.deadlines.replica, ...events });
  }

  start(): void {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
  }

  /** Finds the cluster anew from the URL's addresses; the present connections serve until that has succeeded. */
  renew(): void {
    this.start();
  }

  async send(key: string, command: readonly string[], signal: AbortSignal): Promise<unknown> {
    return await this.#inTurn((cluster) => cluster.sendCommand(key, false, [...command], { abortSignal: signal }));
  }

  async sendReplicated(key: string, command: readonly string[], signal: AbortSignal): Promise<unknown> {
    return await this.#inTurn(async (cluster) => {
      try {
        const client = await cluster.getNodeClientForKey(key);
        return await this.#replicas.send(client, command, signal);
      } catch (error) {
        if (!isRedirect(error)) throw error;
      }
      // The slot moved. The client finds out where it is now, and from then on has the connection to wait on.
      const reply = await cluster.sendCommand(key, false, [...command], { abortSignal: signal });
      await this.#replicas.confirm(await cluster.getNodeClientForKey(key));
      return reply;
    });
  }

  async probe(key: string, signal: AbortSignal): Promise<void> {
    // Not PING, which a node answers also while it holds no slot or the cluster is down.
    await this.send(key, ["TTL", key], signal);
  }

  async subscriberAddress(): Promise<Address> {
    const known = (this.#cluster?.masters ?? []).map(({ host, port }) => ({ host, port }));
    const candidates = known.length > 0 ? known : this.#target.seeds;
    this.#nextSubscriber += 1;
    return candidates[this.#nextSubscriber % candidates.length] as Address;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#connecting;
    this.#cluster?.destroy();
    this.#cluster = undefined;
  }

  async #connect(): Promise<void> {
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const fresh = await this.#open();
        const former = this.#cluster;
        this.#cluster = fresh;
        former?.destroy();
        this.#events.onUp();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#events.onFailure(error instanceof Error ? error : new Error(describe(error)));
        // Where there is one in use, whoever finds it silent asks again.
        if (this.#cluster !== undefined) return;
      }
      await pause(backOff(attempt), signal);
    }
  }

  async #open(): Promise<ClusterClient> {
    const cluster = createClient(this.#settings, this.#target);
    // The rejection of connect() only says that no seed was of use; the events say why.
    let reason: Error | undefined;
    cluster.on("error", (error: Error) => {
      reason = error;
    });
    const ms = this.#settings.deadlines.silence * this.#target.seeds.length;
    try {
      const late = () => new Error(`no node of it told where its slots are within ${ms} ms`);
      await withDeadline({ ms, late, stop: this.#stop.signal }, () => cluster.connect());
      return cluster;
    } catch (error) {
      cluster.destroy();
      throw reason ?? error;
    }
  }

  async #inTurn(run: (cluster: ClusterClient) => Promise<unknown>): Promise<unknown> {
    if (this.#cluster === undefined) throw new Error("it is not connected");
    if (this.#waiting >= mostWaiting) throw new Error(`${mostWaiting} calls are waiting for it already`);
    this.#waiting += 1;
    try {
      return await run(this.#cluster);
    } finally {
      this.#waiting -= 1;
    }
  }
}
