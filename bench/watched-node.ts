import type { Children } from "./children.ts";
import { spread } from "./statistics.ts";
import { type NodeParts, type StartedNode, startNode } from "./subjects/node.ts";
import type { ProcessSecond } from "./subjects/process-watch.ts";

/**
 * How long an event loop was held up, in the worst moment of some seconds: milliseconds. Seconds without a pause of the
 * garbage collector are told apart: what the collector does it does on account of the sessions' number, not of their
 * keep-alives, which come in each second.
 */
export interface Worst {
  readonly delayMs: number;
  readonly delayBesidesGcMs: number;
  /** The median of each second's worst. */
  readonly usualDelayMs: number;
  /** Computed in one stretch, outside of seconds with a pause: whatever else the machine does is not in it. */
  readonly cpuBesidesGcMs: number | null;
  readonly gcMs: number;
}

/** A node whose process tells of itself each second. */
export interface WatchedNode extends StartedNode {
  readonly seconds: readonly ProcessSecond[];
  /** Ends it at once: it need not end its sessions one by one. */
  stop(): Promise<void>;
}

const preload = new URL("subjects/process-watch.ts", import.meta.url);
/** A pause of the garbage collector that counts as one. */
const longPauseMs = 1;

export async function startWatched(
  children: Children,
  parts: Omit<NodeParts, "preload" | "onMessage">,
): Promise<WatchedNode> {
  const seconds: ProcessSecond[] = [];
  const node = await startNode(children, {
    ...parts,
    preload,
    onMessage: (message) => {
      if ((message as Partial<ProcessSecond>).kind === "process-second") seconds.push(message as ProcessSecond);
    },
  });
  const stop = async (): Promise<void> => {
    node.process.kill();
    await node.process.exited;
  };
  return { ...node, seconds, stop };
}

/** The worst of some seconds. */
export function worstOf(seconds: readonly ProcessSecond[]): Worst {
  const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);
  const delays = (of: readonly ProcessSecond[]) => of.map(({ delayMaxMs }) => delayMaxMs);
  // Node tells of a pause a moment later, which may be in the next second.
  const besidesGc = seconds.filter((second, index) =>
    [second, seconds[index + 1]].every((one) => (one?.gcMaxMs ?? 0) < longPauseMs),
  );
  const cpu = besidesGc.map(({ cpuMaxMs }) => cpuMaxMs).filter((ms) => ms !== null);
  return {
    delayMs: most(delays(seconds)),
    delayBesidesGcMs: most(delays(besidesGc)),
    usualDelayMs: seconds.length === 0 ? 0 : spread(delays(seconds)).median,
    cpuBesidesGcMs: cpu.length === 0 ? null : most(cpu),
    gcMs: most(seconds.map(({ gcMaxMs }) => gcMaxMs)),
  };
}
