import { join } from "node:path";
import type { Settings } from "../model/settings.ts";
import { longestStop } from "../model/stop-time.ts";
import { tagOf } from "../model/tag.ts";
import type { Log } from "../ports/log.ts";
import { cacheFolder } from "./folders.ts";
import { describeExit, OwnedProcess, ProcessError } from "./owned-process.ts";
import { host } from "./ports.ts";
import type { Reaper } from "./reaper.ts";

export interface NodeParts {
  readonly name: string;
  /** Starts `mooring serve`, up to the options that are this node's own. */
  readonly command: string;
  readonly args: readonly string[];
  /** 0: any free one, which is then kept for later starts. */
  readonly port: number;
  readonly adminPort: number;
  readonly redis: string;
  /** How long it may take to hand its sessions over when it restarts, in milliseconds. */
  readonly settings: Pick<Settings, "drainDeadline" | "edgeDelay">;
  readonly reaper: Reaper;
  readonly log: Log;
  /** Takes a line that the node logged, as it is. */
  readonly onLogLine: (line: string) => void;
}

/** What a node says when it serves. */
export interface NodeReady {
  readonly event: "ready";
  readonly name: string;
  readonly tag: string;
  readonly pid: number;
  readonly url: string;
  readonly admin: string;
}

/** A node said why it can't start; it is what a person needs to hear, without what surrounds it. */
class NodeStartError extends Error {
  override readonly name = "NodeStartError";
  readonly exitCode: number;
  readonly code: string;
  constructor(message: string, code: string, exitCode: number) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

const startDeadlineMs = 60_000;
/** A node that ends with its cluster hands nothing over: it waits 5 s for calls in flight, and 2 s for their readers. */
const stopGraceMs = 8_000;

/** One node of a local cluster: a process of `mooring serve`, which may end and be started again. */
export class NodeProcess {
  readonly name: string;
  readonly tag: string;
  readonly #parts: NodeParts;
  #port: number;
  #adminPort: number;
  #process: OwnedProcess | undefined;
  #ready: NodeReady | undefined;
  #since = 0;
  #stopping = false;
  /** Kills it should its end take longer than a drain; there while it ends because a restart was asked for. */
  #restarting: NodeJS.Timeout | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.tag = tagOf(parts.name);
    this.#port = parts.port;
    this.#adminPort = parts.adminPort;
  }

  /** Whether it serves, as far as is known here. */
  get up(): boolean {
    return this.#ready !== undefined && this.#process?.running === true;
  }

  /** What is known of it, also while it is down. */
  get facts(): { name: string; tag: string; pid: number; url: string; admin: string; since: number; down: boolean } {
    const { name, tag } = this;
    const url = `http://${host}:${this.#port}`;
    const admin = `http://${host}:${this.#adminPort}`;
    return { name, tag, pid: this.#process?.pid ?? 0, url, admin, since: this.#since, down: !this.up };
  }

  /**
   * Starts it, and resolves when it serves.
   *
   * @param onExit called when it ends after it was ready: because an operator asked for a restart, or else
   */
  async start(onExit: (why: "restart" | "ended") => void): Promise<void> {
    const { name, command, args, redis, reaper, log, onLogLine } = this.#parts;
    let ready: NodeReady | undefined;
    let refusal: { message: string; code: string } | undefined;
    const own = ["--name", name, "--host", host, "--port", String(this.#port)];
    const child = await OwnedProcess.start({
      name,
      command,
      args: [...args, "--json", ...own, "--admin", `${host}:${this.#adminPort}`],
      // The code of three nodes is compiled once, and not at all at the next start. Redis is not named by an argument: those are shown to everybody, and the URL may hold a password.
      environment: { NODE_COMPILE_CACHE: join(cacheFolder(), "compiled"), ...process.env, MOORING_REDIS: redis },
      reaper,
      onMessage: (message) => {
        if (isReady(message)) ready = message;
        else if (isEvent(message, "restarting")) this.#endsToRestart(child);
      },
      onLine: (line, stream) => {
        const parsed = parseLine(line);
        if (parsed?.event === "ready") return;
        if (parsed?.event === "command-failed") {
          refusal = { message: String(parsed.message), code: String(parsed.code) };
        } else if (parsed !== undefined && stream === "stderr") {
          onLogLine(line);
        } else {
          log.info("process-output", { process: name, stream, text: line });
        }
      },
    });
    this.#ready = undefined;
    this.#process = child;
    try {
      await child.ready(() => ready !== undefined, startDeadlineMs);
    } catch (error) {
      child.kill();
      const { code } = await child.exited;
      if (refusal !== undefined) throw new NodeStartError(refusal.message, refusal.code, code ?? 1);
      throw error;
    }
    if (ready === undefined) throw new ProcessError(`${name} is not ready`);
    this.#ready = ready;
    this.#since = Date.now();
    this.#port = Number(new URL(ready.url).port);
    this.#adminPort = Number(new URL(ready.admin).port);
    log.info("process-started", { process: name, pid: child.pid, url: ready.url });
    void child.exited.then((exit) => {
      const facts = { process: name, pid: child.pid, exit: describeExit(exit) };
      const restarting = this.#restarting !== undefined;
      clearTimeout(this.#restarting);
      this.#restarting = undefined;
      if (this.#stopping || (restarting && exit.code === 0)) log.info("process-exited", facts);
      else log.warn("process-exited", facts);
      onExit(restarting ? "restart" : "ended");
    });
  }

  #endsToRestart(child: OwnedProcess): void {
    this.#restarting ??= setTimeout(() => child.kill(), longestStop(this.#parts.settings));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#process?.stop(stopGraceMs);
  }

  kill(): void {
    this.#process?.kill();
  }
}

function isReady(message: unknown): message is NodeReady {
  return isEvent(message, "ready");
}

function isEvent(message: unknown, event: string): boolean {
  return typeof message === "object" && message !== null && "event" in message && message.event === event;
}

/** A line of JSON that has an event, as nodes log; undefined for what else is printed. */
function parseLine(
  line: string,
): { readonly event: unknown; readonly message?: unknown; readonly code?: unknown } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const parsed = JSON.parse(line) as { event?: unknown };
    return typeof parsed.event === "string" ? { ...parsed, event: parsed.event } : undefined;
  } catch {
    return undefined;
  }
}
