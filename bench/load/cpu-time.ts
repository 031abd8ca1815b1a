import { readFileSync } from "node:fs";

/** Linux counts the CPU time of processes in hundredths of a second, whatever the kernel's own clock is. */
const microsPerTick = 10_000;

/** CPU microseconds that processes have used in all their threads; null where the system has no /proc. */
export function cpuMicrosOf(pids: readonly number[]): number | null {
  try {
    return pids.reduce((sum, pid) => sum + ticksOf(pid) * microsPerTick, 0);
  } catch {
    return null;
  }
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name in parentheses, and may hold spaces. utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** The resident memory of a process in MB; null where the system has no /proc. */
export function residentMbOf(pid: number): number | null {
  try {
    const kilobytes = Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)?.[1]);
    return Number.isNaN(kilobytes) ? null : kilobytes / 1_024;
  } catch {
    return null;
  }
}
