import type { StateCell, TaskHandle, TaskOptions, TaskRun } from "./session-context.ts";
import type { SessionState } from "./state.ts";
import { notEnded, Task, type TaskHost } from "./task.ts";
import type { StopReason } from "./task-stopped.ts";
import { endsWithin } from "./wait-bounded.ts";

export interface SessionTasksOptions {
  readonly state: SessionState;
  /** Told what a task threw, and of one that doesn't end. */
  failed(name: string, error: Error): void;
  /** How many milliseconds a task has to end, after its signal aborted. */
  readonly endMs?: number;
}

/** The tasks of one session, on the node that holds it. */
export class SessionTasks implements TaskHost {
  readonly endMs: number;
  readonly #state: SessionState;
  readonly #failed: (name: string, error: Error) => void;
  readonly #tasks = new Map<string, Task>();
  /** Runs that have not ended, and whose they are. */
  readonly #runs = new Map<Promise<void>, Task>();
  /** Of tasks that were started by the server's own code: those that are wanted, as the JSON of their names. */
  #marks: StateCell<string> | undefined;
  /** Those that were marked when the session came here. */
  #came: ReadonlySet<string> = none;
  #life: TaskHost["life"] = "unbegun";
  /** Those that ended with the session's life here, and begin again where it goes on. */
  readonly #interrupted = new Set<Task>();
  #isRestored = false;

  constructor({ state, failed, endMs = 5_000 }: SessionTasksOptions) {
    this.#state = state;
    this.#failed = failed;
    this.endMs = endMs;
  }

  get life(): TaskHost["life"] {
    return this.#life;
  }

  /** Whether a task runs that the server's own code started. */
  get hasStarted(): boolean {
    for (const task of this.#tasks.values()) {
      if (!task.isAuto && (task.running || this.#interrupted.has(task))) return true;
    }
    return false;
  }

  /** See SessionContext.task. Throws when the session has a task of this name. */
  declare(name: string, run: TaskRun, { auto = true }: TaskOptions = {}): TaskHandle {
    if (this.#tasks.has(name)) {
      throw new Error(`This session has a task ${JSON.stringify(name)} already: give each task a name of its own.`);
    }
    const isWanted = !this.#isOver && (auto || this.#marked().has(name));
    const task = new Task(this, name, run, { isAuto: auto, isWanted });
    this.#tasks.set(name, task);
    if (this.#life === "live" && isWanted) this.#launch(task);
    return task;
  }

  /** The session has begun, or has come to this node. From now on tasks run. */
  begin(restored: boolean): void {
    if (this.#life !== "unbegun") return;
    this.#life = "live";
    this.#isRestored = restored;
    this.#state.begun();
    for (const task of this.#tasks.values()) if (task.running) this.#launch(task);
  }

  /** Ends all tasks here, and waits for them, within bounds. Those that are wanted go on where the session does. */
  async end(reason: StopReason): Promise<void> {
    if (!this.#isOver) for (const task of this.#tasks.values()) if (task.running) this.#interrupted.add(task);
    this.#life = reason === "closed" || reason === "expired" ? "ended" : "leaving";
    for (const task of this.#tasks.values()) task.end(reason);
    await endsWithin(Promise.all(this.#runs.keys()), this.endMs);
    for (const task of this.#runs.values()) this.failed(task, notEnded(task.name, this.endMs));
    this.#runs.clear();
  }

  /** The session stays here after all: what was ended goes on, as after a move. */
  goOn(): void {
    if (!this.#isOver) return;
    this.#life = "live";
    for (const task of this.#interrupted) task.goOn();
    this.#interrupted.clear();
  }

  wanted(task: Task, isWanted: boolean): void {
    // What its tasks stop as they end, because the session leaves, goes on where it does.
    if (this.#life === "ended" || (this.#life === "leaving" && !isWanted)) return;
    if (!task.isAuto) {
      const names = new Set(this.#marked());
      if (isWanted) names.add(task.name);
      else names.delete(task.name);
      if (this.#marks !== undefined) this.#marks.value = JSON.stringify([...names]);
    }
    // By a call, say, whose client is told so before the session has left.
    if (this.#life === "leaving") this.#interrupted.add(task);
  }

  ran(task: Task, run: Promise<void>): void {
    this.#runs.set(run, task);
    this.#state.taskBegan();
    void run.finally(() => {
      this.#state.taskEnded();
      this.#runs.delete(run);
    });
  }

  failed(task: Task, error: Error): void {
    this.#failed(task.name, error);
  }

  get #isOver(): boolean {
    return this.#life === "leaving" || this.#life === "ended";
  }

  #launch(task: Task): void {
    task.launch(this.#isRestored && (task.isAuto || this.#came.has(task.name)));
  }

  #marked(): ReadonlySet<string> {
    if (this.#marks === undefined) {
      this.#marks = this.#state.own("tasks", "[]");
      this.#came = namesIn(this.#marks.value);
    }
    return namesIn(this.#marks.value);
  }
}

const none: ReadonlySet<string> = new Set();

function namesIn(json: string): ReadonlySet<string> {
  return new Set(JSON.parse(json) as string[]);
}
