import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What the system tells of a process. */
export interface ProcessFacts {
  readonly parent: number;
  /** It has ended, but its parent has not asked how. */
  readonly zombie: boolean;
  /** Its command line, as it is shown. */
  readonly command: string;
}

const psDeadlineMs = 2_000;

/** Looks a process up, or gives undefined when there is none. */
export function lookUpProcess(pid: number): ProcessFacts | undefined {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

/** Whether a process lives. A zombie doesn't. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return lookUpProcess(pid)?.zombie !== true;
}

function fromProc(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name before it stands in parentheses, and may hold anything.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { parent: Number(parent), zombie: state === "Z", command };
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): ProcessFacts | undefined {
  try {
    const args = ["-o", "ppid=,stat=,command=", "-p", String(pid)];
    const line = execFileSync("ps", args, {
      encoding: "utf8",
      timeout: psDeadlineMs,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [, parent, state, command] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
    return parent === undefined
      ? undefined
      : { parent: Number(parent), zombie: state?.startsWith("Z") === true, command: command ?? "" };
  } catch {
    return undefined;
  }
}
