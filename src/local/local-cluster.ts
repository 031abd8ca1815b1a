import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type AdminListener, startAdminServer } from "../admin/admin-server.ts";
import type { ClusterView } from "../edge/view.ts";
import { ViewFollower } from "../edge/view-follower.ts";
import { leasesUntilGone } from "../edge/view-of.ts";
import type { Settings } from "../model/settings.ts";
import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import { openRegistry } from "../registry/open-registry.ts";
import { type Binary, findTraefik, findValkey } from "./binaries.ts";
import { localAuthority } from "./ca.ts";
import { ConsoleApi } from "./console-api.ts";
import { EdgeProcess, finishSeconds } from "./edge-process.ts";
import { cacheFolder, stateFolder, workIn } from "./folders.ts";
import { NodeProcess } from "./node-process.ts";
import { describeExit, type OwnedProcess } from "./owned-process.ts";
import { type ClusterPorts, checkPorts, host, PortReservations, portOptions } from "./ports.ts";
import { Reaper } from "./reaper.ts";
import { servesGraphql } from "./serves-graphql.ts";
import { makeStateFolder, removeStaleFolders, writeState } from "./state.ts";
import { startValkey } from "./valkey-process.ts";

export interface ClusterOptions {
  readonly nodes: number;
  /** Starts `mooring serve` with everything but what is each node's own. */
  readonly serve: { readonly command: string; readonly args: readonly string[] };
  readonly ports: ClusterPorts;
  /** A server to use instead of starting one. */
  readonly redis?: string | undefined;
  /** Whether a node that died is started again. */
  readonly restart: boolean;
  /** Of the nodes, as far as they concern the cluster too. */
  readonly settings: Pick<
    Settings,
    "affinity" | "allowHost" | "namespace" | "lease" | "renew" | "drainDeadline" | "edgeDelay"
  >;
  readonly log: Log;
  /** Takes a line that a node logged, as it is. */
  readonly onLogLine: (line: string) => void;
  /** Whether a person watches stderr. */
  readonly shown: boolean;
}

/** What is said when everything serves. */
export interface ClusterReady {
  readonly event: "ready";
  readonly mcp: string;
  readonly mcps: string;
  /** Only for a module that serves it. */
  readonly graphql?: string;
  readonly console: string;
  /** The file of the CA that signs https. */
  readonly ca: string;
  readonly traefik: { readonly pid: number; readonly version: string; readonly api: string };
  readonly redis: { readonly url: string; readonly pid?: number };
  readonly nodes: readonly { name: string; tag: string; pid: number; url: string; admin: string }[];
}

/** The cluster was stopped before it was ready. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
}

/** Processes of a cluster that was killed get this long to leave their ports. */
const afterKillMs = 5_000;
const valkeyGraceMs = 2_000;
const firstRestartMs = 100;
const slowestRestartMs = 5_000;
/** A node that lived so long is not in a crash loop. */
const healthyMs = 10_000;

/** `mooring up`: Valkey, nodes and Traefik as children of this process, and a console. */
export class LocalCluster {
  readonly #options: ClusterOptions;
  readonly #ports = new PortReservations();
  readonly #ending = new AbortController();
  readonly #startedAt = Date.now();
  /** By node: how long the next start waits. */
  readonly #patience = new Map<NodeProcess, number>();
  #nodes: readonly NodeProcess[] = [];
  #folder: string | undefined;
  #reaper: Reaper | undefined;
  #valkey: OwnedProcess | undefined;
  #registry: Registry | undefined;
  #edge: EdgeProcess | undefined;
  #follower: ViewFollower | undefined;
  #console: AdminListener | undefined;
  #stopped: Promise<void> | undefined;
  #fail: (error: Error) => void = () => {};
  /** Resolves when the cluster can't go on. */
  readonly failed: Promise<Error>;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /** Starts everything, and resolves when everything serves. Call {@link stop} also when it rejects. */
  async start(): Promise<ClusterReady> {
    const { ports, nodes, redis, log } = this.#options;
    const inState = <T>(work: Promise<T>) => workIn(stateFolder(), "XDG_STATE_HOME", work);
    const stale = await inState(removeStaleFolders());
    await checkPorts(ports, nodes, redis === undefined, stale > 0 ? afterKillMs : 0);
    log.info("cluster-starting", { nodes, redis: redis === undefined ? "own" : "given" });
    const binaries = await this.#findBinaries();
    this.#goOn();

    const folder = await inState(makeStateFolder());
    this.#folder = folder;
    await inState(writeState(folder, { pid: process.pid, startedAt: this.#startedAt }));
    const reaper = new Reaper();
    this.#reaper = reaper;
    const authority = await workIn(cacheFolder(), "MOORING_CACHE", localAuthority(cacheFolder()));
    const certificate = await authority.issue(folder);

    const redisUrl = redis ?? (await this.#startValkey(binaries.valkey as Binary, folder, reaper));
    this.#goOn();
    await this.#startNodes(redisUrl, reaper);
    this.#goOn();

    const web = await this.#ports.reserve(ports.web);
    const tls = await this.#ports.reserve(ports.tls);
    const api = await this.#ports.reserve(ports.api);
    await this.#ports.release(web, tls, api);
    const { affinity, namespace } = this.#options.settings;
    const traefik = { path: binaries.traefik.path, ports: { web, tls, api }, affinity };
    const edge = await EdgeProcess.start({ ...traefik, folder, certificate, reaper, log }, this.#firstView());
    this.#edge = edge;
    this.#goOn();
    const registry = openRegistry({ redis: redisUrl, namespace, log });
    this.#registry = registry;
    await registry.start();
    this.#goOn();
    this.#follower = this.#follow(registry, edge);
    log.info("process-started", { process: "traefik", pid: edge.process.pid, url: `http://${host}:${web}` });
    void edge.process.exited.then((exit) => this.#edgeExited(describeExit(exit)));

    this.#console = await startAdminServer({
      api: new ConsoleApi(() => this.#nodes.map(({ facts }) => facts)),
      title: "Mooring local cluster",
      address: { host, port: ports.console },
      option: portOptions.console,
      allowHost: this.#options.settings.allowHost,
      plain: {},
      log,
    });
    const first = this.#nodes[0]?.facts.url ?? "";
    const graphql = (await servesGraphql(first)) ? { graphql: `http://localhost:${web}/graphql` } : {};
    const ready: ClusterReady = {
      event: "ready",
      mcp: `http://localhost:${web}/mcp`,
      mcps: `https://localhost:${tls}/mcp`,
      ...graphql,
      console: this.#console.url,
      ca: authority.certFile,
      traefik: { pid: edge.process.pid, version: binaries.traefik.version, api: `http://${host}:${api}` },
      redis: { url: redisUrl, ...(this.#valkey && { pid: this.#valkey.pid }) },
      nodes: this.#nodes.map(({ facts: { name, tag, pid, url, admin } }) => ({ name, tag, pid, url, admin })),
    };
    await this.#noteState();
    this.#goOn();
    log.info("cluster-ready", { mcp: ready.mcp, mcps: ready.mcps, ms: Date.now() - this.#startedAt });
    return ready;
  }

  /** Ends everything in order: nobody gets in any more, calls in flight end, then their nodes, then what they need. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Ends everything at once. */
  kill(): void {
    for (const node of this.#nodes) node.kill();
    this.#edge?.process.kill();
    this.#valkey?.kill();
  }

  async #stop(): Promise<void> {
    const { log } = this.#options;
    log.info("cluster-stopping");
    this.#ending.abort();
    const edge = this.#edge?.process.stop((finishSeconds + 1) * 1_000);
    await Promise.all([edge, this.#follower?.stop(), ...this.#nodes.map((node) => node.stop())]);
    await this.#registry?.stop();
    await this.#valkey?.stop(valkeyGraceMs);
    await this.#console?.stop();
    await this.#ports.releaseAll();
    // Ends what a start that was broken off may have left.
    await this.#reaper?.stop();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    log.info("cluster-stopped");
  }

  #goOn(): void {
    if (this.#ending.signal.aborted) throw new StoppedError("The cluster was stopped before it was ready");
  }

  async #findBinaries(): Promise<{ traefik: Binary; valkey: Binary | undefined }> {
    const { redis, log, shown } = this.#options;
    const valkey = async () => (redis === undefined ? await findValkey({ log, shown }) : undefined);
    // Two downloads that both show their progress would write over each other.
    if (shown) return { traefik: await findTraefik({ log, shown }), valkey: await valkey() };
    const [traefik, found] = await Promise.all([findTraefik({ log, shown }), valkey()]);
    return { traefik, valkey: found };
  }

  async #startValkey(binary: Binary, folder: string, reaper: Reaper): Promise<string> {
    const { ports, log } = this.#options;
    const port = await this.#ports.reserve(ports.redis);
    await this.#ports.release(port);
    const valkey = await startValkey(binary.path, port, folder, reaper);
    this.#valkey = valkey;
    const url = `redis://${host}:${port}`;
    log.info("process-started", { process: "valkey", pid: valkey.pid, url });
    void valkey.exited.then((exit) => {
      if (this.#ending.signal.aborted) return;
      // Nodes serve their own sessions without it.
      log.error("process-exited", { process: "valkey", pid: valkey.pid, exit: describeExit(exit) });
    });
    return url;
  }

  async #startNodes(redis: string, reaper: Reaper): Promise<void> {
    const { nodes, ports, serve, log, onLogLine } = this.#options;
    const { settings } = this.#options;
    const made: NodeProcess[] = [];
    for (let index = 0; index < nodes; index += 1) {
      const port = await this.#ports.reserve(ports.firstNode === 0 ? 0 : ports.firstNode + index);
      const adminPort = await this.#ports.reserve(ports.firstAdmin === 0 ? 0 : ports.firstAdmin + index);
      const name = `node-${index + 1}`;
      const parts = { name, ...serve, port, adminPort, redis, settings, reaper, log, onLogLine };
      made.push(new NodeProcess(parts));
    }
    this.#nodes = made;
    await this.#ports.releaseAll();
    await Promise.all(made.map((node) => node.start((why) => this.#nodeExited(node, why))));
  }

  /** All nodes serve by now, and are up until the registry says more. */
  #firstView(): ClusterView {
    return { nodes: this.#nodes.map(({ facts: { name, tag, url } }) => ({ name, tag, url, state: "up" })) };
  }

  /** Keeps Traefik up to date, by the registry and by what is known here before it is known there: who has ended. */
  #follow(registry: Registry, edge: EdgeProcess): ViewFollower {
    const { lease, renew } = this.#options.settings;
    const follower = new ViewFollower({
      nodes: () => registry.nodes(),
      ended: () => this.#nodes.filter(({ up }) => !up).map(({ tag }) => tag),
      onNodesChanged: (listener) => registry.onNodesChanged(listener),
      onReachable: (listener) => registry.onReachable(listener),
      everyMs: renew / 2,
      times: { lease, goneAfter: lease * leasesUntilGone },
      now: () => performance.now(),
      onView: (view) => void edge.publish(view),
      log: this.#options.log,
    });
    follower.start();
    return follower;
  }

  #nodeExited(node: NodeProcess, why: "restart" | "ended"): void {
    if (this.#ending.signal.aborted) return;
    void this.#follower?.look();
    // Restarts that somebody asks for are no crash loop, however soon they follow each other.
    if (why === "restart" || Date.now() - node.facts.since > healthyMs) this.#patience.delete(node);
    if (why === "restart" || this.#options.restart) void this.#startAgain(node);
  }

  async #startAgain(node: NodeProcess): Promise<void> {
    const { signal } = this.#ending;
    let waitMs = this.#patience.get(node) ?? firstRestartMs;
    while (!signal.aborted) {
      this.#patience.set(node, Math.min(waitMs * 2, slowestRestartMs));
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        await node.start((why) => this.#nodeExited(node, why));
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.error("process-exited", { process: node.name, reason: (error as Error).message });
        waitMs = Math.min(waitMs * 2, slowestRestartMs);
        continue;
      }
      await this.#follower?.look();
      return await this.#noteStateAgain();
    }
  }

  /** The commands find the cluster by what was noted first: that this is older, on a full disk say, ends nothing. */
  async #noteStateAgain(): Promise<void> {
    try {
      await this.#noteState();
    } catch (error) {
      this.#options.log.warn("cluster-not-noted", { folder: this.#folder, why: (error as Error).message });
    }
  }

  #edgeExited(exit: string): void {
    if (this.#ending.signal.aborted) return;
    this.#options.log.error("process-exited", { process: "traefik", pid: this.#edge?.process.pid, exit });
    this.#fail(new Error(`Traefik ended (${exit}): ${this.#edge?.process.lastLines() || "no output"}`));
  }

  async #noteState(): Promise<void> {
    if (this.#folder === undefined || this.#console === undefined || this.#ending.signal.aborted) return;
    await writeState(this.#folder, {
      pid: process.pid,
      startedAt: this.#startedAt,
      console: this.#console.url,
      nodes: this.#nodes.map(({ facts: { name, pid, url, admin } }) => ({ name, pid, url, admin })),
    });
  }
}
