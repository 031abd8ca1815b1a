import type { TaskHandle, TaskRun } from "./session-context.ts";
import { type StopReason, TaskStopped } from "./task-stopped.ts";
import { errorOf } from "./thrown.ts";
import { endsWithin } from "./wait-bounded.ts";

/** What a task needs of the session that it belongs to. */
export interface TaskHost {
  /**
   * unbegun: tasks start when it begins; live: they start at once; leaving: they start where it goes on; ended: never
   * again.
   */
  readonly life: "unbegun" | "live" | "leaving" | "ended";
  readonly endMs: number;
  /** The task was started or stopped by the server's own code, or ended by itself. */
  wanted(task: Task, isWanted: boolean): void;
  ran(task: Task, run: Promise<void>): void;
  failed(task: Task, error: Error): void;
}

/** A task of a session: at most one run of it at a time. */
export class Task implements TaskHandle {
  readonly name: string;
  readonly isAuto: boolean;
  readonly #run: TaskRun;
  readonly #host: TaskHost;
  #isWanted: boolean;
  /** Ends the newest run. */
  #abort: AbortController | undefined;
  /** The server's own code at work, until it has ended. */
  #working: Promise<void> | undefined;

  constructor(
    host: TaskHost,
    name: string,
    run: TaskRun,
    { isAuto, isWanted }: { isAuto: boolean; isWanted: boolean },
  ) {
    this.#host = host;
    this.name = name;
    this.isAuto = isAuto;
    this.#run = run;
    this.#isWanted = isWanted;
  }

  get running(): boolean {
    return this.#isWanted;
  }

  start(): void {
    if (this.#isWanted || this.#host.life === "ended") return;
    // Throws when the session's state has no room for it, and then nothing was started.
    this.#host.wanted(this, true);
    if (this.#host.life === "leaving") return;
    this.#isWanted = true;
    if (this.#host.life === "live") this.launch(false);
  }

  stop(): void {
    this.#abort?.abort(new TaskStopped(this.name, "stopped"));
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.#host.wanted(this, false);
  }

  /** Ends it with its session, which leaves it wanted wherever the session goes on. */
  end(reason: StopReason): void {
    this.#isWanted = false;
    this.#abort?.abort(new TaskStopped(this.name, reason));
  }

  /** The session stays on this node after all. */
  goOn(): void {
    this.#isWanted = true;
    this.launch(true);
  }

  launch(restored: boolean): void {
    this.#abort = new AbortController();
    this.#host.ran(this, this.#go(this.#abort.signal, restored));
  }

  async #go(signal: AbortSignal, restored: boolean): Promise<void> {
    // A run that was stopped may take its time to end.
    if (!(await endsWithin(this.#working, this.#host.endMs, signal)) && !signal.aborted) {
      this.#fail(notEnded(this.name, this.#host.endMs));
    }
    if (signal.aborted) return;
    const working = this.#work(signal, restored);
    this.#working = working;
    await working;
    if (this.#working === working) this.#working = undefined;
  }

  /** Never rejects. */
  async #work(signal: AbortSignal, restored: boolean): Promise<void> {
    try {
      await this.#run({ restored, signal });
    } catch (error) {
      // What was told to end may end by an error, whichever: that of its signal, or of what it was about to send.
      if (!signal.aborted) this.#fail(error);
    }
    if (signal.aborted || this.#abort?.signal !== signal) return;
    this.#isWanted = false;
    try {
      this.#host.wanted(this, false);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#host.failed(this, errorOf(error));
  }
}

export function notEnded(name: string, ms: number): Error {
  return new Error(
    `The task ${JSON.stringify(name)} has not ended within ${ms} ms of its signal. Let run() end when its signal aborts.`,
  );
}
