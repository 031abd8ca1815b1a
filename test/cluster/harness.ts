import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CuttableProxy, startCuttableProxy } from "../support/cuttable-proxy.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { type LoggedLine, MooringProcess, runMooring } from "./mooring-process.ts";

export interface ClusterOptions {
  readonly nodes?: number;
  /** What it serves: `yardstick` unless told otherwise. */
  readonly server?: string;
  /** More arguments of `mooring up`. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Puts a proxy between the nodes and Redis, whose connections can be cut: see `redis.cut`. */
  readonly cuttableRedis?: boolean;
}

/** What `mooring up --json` prints when everything serves. */
export interface ReadyLine {
  readonly event: "ready";
  readonly mcp: string;
  readonly mcps: string;
  readonly graphql?: string;
  readonly console: string;
  readonly ca: string;
  readonly traefik: { readonly pid: number; readonly version: string; readonly api: string };
  readonly redis: { readonly url: string; readonly pid?: number };
  readonly nodes: readonly ClusterNode[];
}

export interface ClusterNode {
  readonly name: string;
  readonly tag: string;
  /** The process that serves it now: another one after a restart. */
  readonly pid: number;
  readonly url: string;
  readonly admin: string;
}

export interface Wait {
  /** Milliseconds. */
  readonly deadline: number;
  /** What is waited for, as the error says it. */
  readonly what: string;
}

const startDeadlineMs = 120_000;
const stopDeadlineMs = 20_000;
const lookEveryMs = 20;

/** A real cluster: `mooring up` on free ports, with all that it starts. Stop it in `afterEach` or `afterAll`. */
export class Cluster {
  readonly ready: ReadyLine;
  readonly nodes: readonly ClusterNode[];
  readonly redis: ClusterRedis;
  readonly #up: MooringProcess;
  readonly #stopOthers: () => Promise<void>;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(
    up: MooringProcess,
    ready: ReadyLine,
    valkey: Valkey | undefined,
    proxy: CuttableProxy | undefined,
    environment: NodeJS.ProcessEnv,
    stopOthers: () => Promise<void>,
  ) {
    this.ready = ready;
    this.#up = up;
    this.#environment = environment;
    this.#stopOthers = stopOthers;
    const nodes = ready.nodes.map((node) => ({ ...node }));
    this.nodes = nodes;
    up.onLog(({ event, process: name, pid }) => {
      const started = event === "process-started" ? nodes.find((node) => node.name === name) : undefined;
      if (started !== undefined) started.pid = pid as number;
    });
    this.redis = new ClusterRedis(ready.redis, valkey, proxy, (pid) => this.#gone(pid));
  }

  get mcp(): string {
    return this.ready.mcp;
  }
  get mcps(): string {
    return this.ready.mcps;
  }
  get graphql(): string | undefined {
    return this.ready.graphql;
  }
  get console(): string {
    return this.ready.console;
  }
  /** The file of the certificate that signs https. */
  get ca(): string {
    return this.ready.ca;
  }
  get traefik(): ReadyLine["traefik"] {
    return this.ready.traefik;
  }
  /** The process of `mooring up` itself. */
  get pid(): number {
    return this.#up.pid;
  }

  /** Ends a node without a word (SIGKILL). Resolves when it is gone. */
  async kill(index: number): Promise<void> {
    await this.#end(index, "SIGKILL");
  }

  /** Ends a node gracefully (SIGTERM). Resolves when it is gone. */
  async stopNode(index: number): Promise<void> {
    await this.#end(index, "SIGTERM");
  }

  /** Drains a node. Resolves when it has handed its sessions over, as far as it can. */
  async drain(index: number): Promise<void> {
    const { name, admin } = this.#node(index);
    await ask(`${admin}/api/nodes/${name}/drain`, "POST");
    const look = async () => ((await ask(`${admin}/api/nodes?scope=node`)) as { drainLeft?: number }[])[0];
    await this.waitFor(async () => (await look())?.drainLeft === undefined, {
      deadline: 45_000,
      what: `${name} to have handed its sessions over`,
    });
  }

  /** Undoes that. */
  async undrain(index: number): Promise<void> {
    const { name, admin } = this.#node(index);
    await ask(`${admin}/api/nodes/${name}/drain`, "DELETE");
  }

  /** SIGSTOP: its connections stay open, nothing answers. */
  freeze(index: number): void {
    process.kill(this.#node(index).pid, "SIGSTOP");
  }

  /** SIGCONT. */
  thaw(index: number): void {
    process.kill(this.#node(index).pid, "SIGCONT");
  }

  /** The folder that the cluster keeps for itself, and removes when it ends. */
  async stateFolder(): Promise<string> {
    const parent = join(String(this.#environment.XDG_STATE_HOME), "mooring");
    const [name = ""] = await readdir(parent);
    return join(parent, name);
  }

  /** What the cluster and its nodes have logged so far: the last 50,000 lines. */
  logs(): readonly LoggedLine[] {
    return this.#up.logs();
  }

  /** Waits until a condition gives something true, and gives that. */
  async waitFor<T>(condition: () => T | Promise<T>, { deadline, what }: Wait): Promise<NonNullable<T>> {
    const end = performance.now() + deadline;
    let failure = "";
    for (;;) {
      try {
        const value = await condition();
        if (value) return value;
        failure = "";
      } catch (error) {
        failure = `; last error: ${(error as Error).message}`;
      }
      if (performance.now() > end) {
        throw new Error(`Waited ${deadline} ms in vain for ${what}${failure}\n${this.#up.told()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }

  /** Waits for a log line, which may have come already. */
  async waitForLog(
    event: string,
    match: (line: LoggedLine) => boolean = () => true,
    deadline = 10_000,
  ): Promise<LoggedLine> {
    const found = () => this.logs().find((line) => line.event === event && match(line));
    return await this.waitFor(found, { deadline, what: `a log line "${event}"` });
  }

  /** Runs another command of Mooring, for which this is the local cluster. */
  async mooring(...args: readonly string[]): ReturnType<typeof runMooring> {
    return await runMooring(args, { environment: this.#environment });
  }

  /** Restarts all nodes, one after another. */
  async rollingRestart(deadlineMs = 120_000): Promise<void> {
    const args = ["restart", "--rolling", "--json"];
    const { code, stderr, logs } = await runMooring(args, { environment: this.#environment, deadlineMs });
    if (code !== 0) throw new Error(`The rolling restart failed (${code}): ${stderr}${JSON.stringify(logs)}`);
  }

  /** Ends everything and gives the exit status of `mooring up`. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    try {
      if (this.#up.running) this.#up.signal(signal);
      return await this.#up.exit(stopDeadlineMs);
    } finally {
      if (this.#up.running) this.#up.signal("SIGKILL");
      await this.#stopOthers();
    }
  }

  #node(index: number): ClusterNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`There is no node ${index}: the cluster has ${this.nodes.length}.`);
    return node;
  }

  async #end(index: number, signal: NodeJS.Signals): Promise<void> {
    const { pid } = this.#node(index);
    process.kill(pid, signal);
    await this.#gone(pid);
  }

  /** `mooring up` notices each end of what it started. */
  async #gone(pid: number): Promise<void> {
    await this.waitForLog("process-exited", (line) => line.pid === pid);
  }
}

/** Asks an admin listener. */
async function ask(url: string, method = "GET"): Promise<unknown> {
  const answer = await fetch(url, { method, signal: AbortSignal.timeout(5_000) });
  if (!answer.ok) throw new Error(`${method} ${url} was answered with ${answer.status}: ${await answer.text()}`);
  return await answer.json();
}

/** The cluster's Redis. */
export class ClusterRedis {
  readonly url: string;
  readonly #pid: number | undefined;
  readonly #proxy: CuttableProxy | undefined;
  readonly #gone: (pid: number) => Promise<void>;
  #valkey: Valkey | undefined;

  constructor(
    { url, pid }: ReadyLine["redis"],
    valkey: Valkey | undefined,
    proxy: CuttableProxy | undefined,
    gone: (pid: number) => Promise<void>,
  ) {
    // Tests talk to Redis itself; only the nodes' way to it can be cut.
    this.url = valkey?.url ?? url;
    this.#pid = pid;
    this.#valkey = valkey;
    this.#proxy = proxy;
    this.#gone = gone;
  }

  get pid(): number {
    return this.#valkey?.pid ?? (this.#pid as number);
  }

  /** SIGKILL. Everything in it is lost. */
  async kill(): Promise<void> {
    if (this.#valkey !== undefined) return await this.#valkey.kill();
    process.kill(this.pid, "SIGKILL");
    await this.#gone(this.pid);
  }

  /** Starts an empty one where the killed one was. */
  async startAgain(): Promise<void> {
    await this.#valkey?.stop();
    this.#valkey = await startValkey({ port: Number(new URL(this.url).port) });
  }

  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** From now on nothing passes on the nodes' connections of this moment, and neither end is told. New ones work. */
  cut(): void {
    if (this.#proxy === undefined)
      throw new Error("Start the cluster with cuttableRedis to cut its connections to Redis.");
    this.#proxy.cut();
  }

  async stop(): Promise<void> {
    await this.#proxy?.stop();
    await this.#valkey?.stop();
  }
}

/** Starts a cluster, and resolves when it serves. A cluster that does not start leaves nothing behind either. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { nodes = 3, server = "yardstick", args = [], env = {}, cuttableRedis = false } = options;
  const state = await mkdtemp(join(tmpdir(), "mooring-test-"));
  const environment = { ...env, XDG_STATE_HOME: state };
  const valkey = cuttableRedis ? await startValkey() : undefined;
  const proxy = valkey && (await startCuttableProxy(valkey.port));
  const redis = proxy === undefined ? [] : ["--redis", `redis://127.0.0.1:${proxy.port}`];
  const up = new MooringProcess(
    ["up", "--json", "--port", "0", "--nodes", String(nodes), "--server", server, ...redis, ...args],
    environment,
  );
  let cluster: Cluster | undefined;
  const stopOthers = async () => {
    await (cluster === undefined ? proxy?.stop() : cluster.redis.stop());
    if (cluster === undefined) await valkey?.stop();
    await rm(state, { recursive: true, force: true });
  };
  try {
    const ready = await readyLine(up);
    cluster = new Cluster(up, ready, valkey, proxy, environment, stopOthers);
    return cluster;
  } catch (error) {
    up.signal("SIGKILL");
    await stopOthers();
    throw error;
  }
}

/** Waits for the line that `mooring up --json` prints when everything serves. */
export async function readyLine(up: MooringProcess): Promise<ReadyLine> {
  const end = performance.now() + startDeadlineMs;
  while (!up.stdout.includes("\n")) {
    if (!up.running) throw new Error(`mooring up ended before it was ready\n${up.told()}`);
    if (performance.now() > end) throw new Error(`mooring up was not ready within ${startDeadlineMs} ms\n${up.told()}`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  return JSON.parse(up.stdout.slice(0, up.stdout.indexOf("\n"))) as ReadyLine;
}
