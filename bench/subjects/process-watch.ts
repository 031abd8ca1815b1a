// Preloaded into a node: tells the bench each second how much memory the process holds, and what held its event loop up.
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";

/** One second in the life of a process. */
export interface ProcessSecond {
  readonly kind: "process-second";
  /** Milliseconds, as Node's monitor tells it with a resolution of 1 ms: whatever the machine's other work adds is in it. */
  readonly delayMaxMs: number;
  /** The longest that the event loop's thread computed without a look at its timers; null where Node can't tell. */
  readonly cpuMaxMs: number | null;
  readonly gcMaxMs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Outside the heap: buffers, and what native code holds for objects. */
  readonly externalBytes: number;
}

const everyMs = 1_000;
const resolutionMs = 1;

/** Newer than the types of the oldest Node that Mooring runs on. */
const { threadCpuUsage } = process as { threadCpuUsage?: () => { readonly user: number; readonly system: number } };

const delay = monitorEventLoopDelay({ resolution: resolutionMs });
delay.enable();

let cpuMaxMicros = 0;
if (threadCpuUsage !== undefined) {
  const used = (): number => {
    const { user, system } = threadCpuUsage();
    return user + system;
  };
  let before = used();
  setInterval(() => {
    const now = used();
    cpuMaxMicros = Math.max(cpuMaxMicros, now - before);
    before = now;
  }, resolutionMs).unref();
}

let gcMaxMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcMaxMs = Math.max(gcMaxMs, duration);
}).observe({ entryTypes: ["gc"] });

setInterval(() => {
  const { rss, heapUsed, external } = process.memoryUsage();
  const second: ProcessSecond = {
    kind: "process-second",
    delayMaxMs: delay.max / 1e6,
    cpuMaxMs: threadCpuUsage === undefined ? null : cpuMaxMicros / 1_000,
    gcMaxMs,
    rssBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
  };
  delay.reset();
  cpuMaxMicros = 0;
  gcMaxMs = 0;
  process.send?.(second);
}, everyMs).unref();
