import { type ChildProcess, spawn } from "node:child_process";

/**
 * Reads "+pid" and "-pid", one a line. When its input ends, it ends the process groups that are left: with SIGTERM,
 * and after 2.5 s with SIGKILL. A frozen process gets SIGTERM only when it is continued.
 */
const script = `
groups=
while IFS= read -r line; do
  pid=\${line#?}
  case $line in
    +*) groups="$groups $pid" ;;
    -*) left=; for group in $groups; do [ "$group" = "$pid" ] || left="$left $group"; done; groups=$left ;;
  esac
done
for group in $groups; do kill -s TERM -- "-$group"; kill -s CONT -- "-$group"; done
rounds=0
while [ $rounds -lt 25 ]; do
  left=
  for group in $groups; do kill -s 0 -- "-$group" && left=1; done
  [ -z "$left" ] && exit 0
  sleep 0.1
  rounds=$((rounds + 1))
done
for group in $groups; do kill -s KILL -- "-$group"; done
`;

/** Started again when somebody ends it, but not forever. */
const mostStarts = 10;

/** A process in the reaper's care. It leads a process group, which is named by its pid. */
export interface Cared {
  readonly pid: number;
  /** Resolves when it is gone. */
  readonly exited: Promise<unknown>;
  /** Ends it at once, with all that it started. */
  kill(): void;
}

/**
 * Ends what this process started, should this process be killed without a chance to do it itself: a shell that waits
 * for the end of its input, which comes with the end of this process, however that ends.
 */
export class Reaper {
  readonly #cared = new Set<Cared>();
  #shell: ChildProcess;
  #starts = 0;
  #stopped = false;

  constructor() {
    this.#shell = this.#start();
  }

  /** Takes care of a process until it has ended. */
  add(cared: Cared): void {
    this.#cared.add(cared);
    this.#shell.stdin?.write(`+${cared.pid}\n`);
    void cared.exited.then(() => {
      this.#cared.delete(cared);
      if (!this.#stopped) this.#shell.stdin?.write(`-${cared.pid}\n`);
    });
    if (this.#stopped) cared.kill();
  }

  /** Ends at once what is still in its care, and then itself. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cared of this.#cared) cared.kill();
    await Promise.all([...this.#cared].map(({ exited }) => exited));
    this.#shell.stdin?.end();
  }

  #start(): ChildProcess {
    this.#starts += 1;
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
    const shell = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    shell.stdin?.on("error", () => {});
    shell.on("error", () => {});
    shell.once("exit", () => {
      if (!this.#stopped && this.#starts < mostStarts) this.#shell = this.#start();
    });
    shell.unref();
    for (const { pid } of this.#cared) shell.stdin?.write(`+${pid}\n`);
    return shell;
  }
}
