import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type PythonSdk, startPython } from "../support/python.ts";
import { countFaults } from "./count-faults.ts";

/** One call, as its client saw it. Times in milliseconds since 1970. */
interface PythonCall {
  readonly sentAt: number;
  readonly endedAt: number;
  /** What the tool gave; absent when the call failed. */
  readonly result?: { readonly value?: number; readonly node: string };
  readonly error?: string;
  /** The error is the answer of the tool: that nobody knows whether it ran. */
  readonly unsure?: boolean;
}

/** What test/python/working.py tells. */
interface Told extends Partial<PythonCall> {
  readonly event:
    | "opened"
    | "began"
    | "ended"
    | "heard"
    | "tools-changed"
    | "called"
    | "client-ended"
    | "given-up"
    | "closed";
  readonly name: string;
  readonly at: number;
  readonly session?: string;
  readonly n?: number;
  readonly tools?: readonly string[];
}

/** What a call beside the others gave, and the names of all tools then. */
interface Called {
  readonly result: NonNullable<PythonCall["result"]>;
  readonly tools: readonly string[];
}

export type Tool = "count" | "sleep" | "append";

/** A session that a Python client works in. */
export class PythonSession {
  /** Unique among all clients of a test. */
  readonly name: string;
  readonly sdk: PythonSdk;
  readonly tool: Tool;
  id = "";
  readonly calls: PythonCall[] = [];
  /** When the call was sent that has not ended. */
  inFlightSince: number | undefined;
  /** The numbers that were announced to it, and when it heard the last of them. */
  readonly heard: number[] = [];
  heardAt = 0;
  /** How often it was told that the tools have changed. */
  toolsChanged = 0;
  readonly called: Called[] = [];
  /** Each time that the SDK's client was over by itself: when, and by which error. */
  readonly clientEnds: { readonly at: number; readonly error: string }[] = [];

  constructor(name: string, sdk: PythonSdk, tool: Tool) {
    this.name = name;
    this.sdk = sdk;
    this.tool = tool;
  }

  get home(): string {
    return this.id.split(".")[0] as string;
  }

  get failures(): PythonCall[] {
    return this.calls.filter(({ result }) => result === undefined);
  }

  /** The first call with a good answer that was sent after a moment. */
  firstAfter(moment: number): PythonCall | undefined {
    return this.calls.find(({ sentAt, result }) => sentAt > moment && result !== undefined);
  }

  /** The lines that it was told are written: as test/python/working.py numbers them. */
  get acknowledgedLines(): string[] {
    return this.calls.flatMap(({ result }, index) => (result === undefined ? [] : [`${this.name}:${index + 1}`]));
  }

  /** What is wrong with what its client was told, whichever calls failed. */
  faults(): string[] {
    const name = `${this.name} ${this.id}`;
    const counted = this.calls.map(({ result, error }) => ({ ...result, ...(error !== undefined && { error }) }));
    const gap = this.heard.findIndex((n, index) => n !== index + 1);
    return [
      ...(this.tool === "count" ? countFaults(name, counted) : []),
      ...(gap === -1 ? [] : [`${name}: heard ${this.heard[gap]} after ${this.heard[gap - 1] ?? "nothing"}`]),
    ];
  }

  take(told: Told): void {
    switch (told.event) {
      case "opened":
        this.id = told.session as string;
        break;
      case "began":
        this.inFlightSince = told.at;
        break;
      case "ended": {
        const { sentAt = 0, result, error, unsure } = told;
        this.inFlightSince = undefined;
        this.calls.push({ sentAt, endedAt: told.at, ...(result ? { result } : { error, unsure: unsure === true }) });
        break;
      }
      case "heard":
        this.heard.push(told.n as number);
        this.heardAt = told.at;
        break;
      case "tools-changed":
        this.toolsChanged += 1;
        break;
      case "called":
        this.called.push(told as Called);
        break;
      case "client-ended":
        this.clientEnds.push({ at: told.at, error: String(told.error) });
        break;
    }
  }
}

/** A process of unmodified clients of one version of the Python SDK. */
export class PythonClients {
  readonly sdk: PythonSdk;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exited: Promise<unknown>;
  readonly #sessions = new Map<string, PythonSession>();
  #count = 0;
  #closes = 0;
  #stderr = "";

  private constructor(sdk: PythonSdk, child: ChildProcessWithoutNullStreams) {
    this.sdk = sdk;
    this.#process = child;
    this.#exited = once(child, "exit");
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-4_000);
    });
    createInterface(child.stdout).on("line", (line) => {
      const told = JSON.parse(line) as Told;
      if (told.event === "closed") this.#closes += 1;
      else this.#sessions.get(told.name)?.take(told);
    });
  }

  static async start(sdk: PythonSdk, mcp: string): Promise<PythonClients> {
    return new PythonClients(sdk, await startPython(sdk, "working.py", [mcp]));
  }

  /** Begins a session in which one call follows another; resolves when it has begun. */
  async open(tool: Tool, { announce = false } = {}): Promise<PythonSession> {
    this.#count += 1;
    const name = `${this.sdk}/${this.#count}`;
    const session = new PythonSession(name, this.sdk, tool);
    this.#sessions.set(name, session);
    this.#say({ do: "open", name, tool, announce });
    await this.#until(() => session.id !== "", "a session");
    return session;
  }

  /** Calls a tool without arguments, beside its other calls. */
  async call({ name, called }: PythonSession, tool: string): Promise<Called> {
    const before = called.length;
    this.#say({ do: "call", name, tool });
    await this.#until(() => called.length > before, `the answer of ${tool}`);
    return called.at(-1) as Called;
  }

  /** No call begins from now on; resolves when none is in flight. */
  async rest(): Promise<void> {
    this.#say({ do: "rest" });
    const sessions = [...this.#sessions.values()];
    await this.#until(() => sessions.every(({ inFlightSince }) => inFlightSince === undefined), "every call to end");
  }

  work(): void {
    this.#say({ do: "work" });
  }

  /** All sessions end, as their clients end them. */
  async close(): Promise<void> {
    const closes = this.#closes;
    this.#say({ do: "close" });
    await this.#until(() => this.#closes > closes, "all sessions to be closed");
    this.#sessions.clear();
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill("SIGKILL");
    await this.#exited;
  }

  #say(command: object): void {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const end = performance.now() + 20_000;
    while (!holds()) {
      if (performance.now() > end || this.#process.exitCode !== null) {
        throw new Error(`Python ${this.sdk}: waited in vain for ${what}\n${this.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
