import { setTimeout as setTimeoutPromise } from "node:timers/promises";

/** Thrown by {@link withDeadline} when its outer signal ends the operation. */
class StoppedError extends Error {
  override readonly name = "StoppedError";
  constructor() {
    super("it was stopped");
  }
}

export interface Deadline {
  readonly ms: number;
  /** What to reject with when the time is over. */
  readonly late: () => Error;
  /** Ends the operation early, with a {@link StoppedError}. */
  readonly stop?: AbortSignal;
}

/**
 * Runs an operation that must end in time. Its signal is aborted when it has not, so that what was not sent by then
 * never is.
 *
 * After the timer one more turn of the event loop is waited for: in a process that was frozen or busy, the answer may
 * have arrived in time and merely not been read yet.
 */
export async function withDeadline<T>(
  { ms, late, stop }: Deadline,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onStop: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    timer = setTimeout(() => setImmediate(() => reject(late())), ms);
    onStop = () => reject(new StoppedError());
    if (stop?.aborted) onStop();
    stop?.addEventListener("abort", onStop, { once: true });
  });
  // Whichever loses the race may still reject, with nobody left to hear it.
  ended.catch(() => {});
  try {
    const running = run(abort.signal);
    running.catch(() => {});
    return await Promise.race([running, ended]);
  } catch (error) {
    abort.abort();
    throw error;
  } finally {
    clearTimeout(timer);
    if (onStop !== undefined) stop?.removeEventListener("abort", onStop);
  }
}

/** Waits; a signal ends it early. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await setTimeoutPromise(ms, undefined, { signal: stop }).catch(() => {});
}

/** How long to wait before the n-th attempt: 50 ms, doubled each time up to 2 s, and up to half of it less by chance. */
export function backOff(attempt: number, random: number = Math.random()): number {
  return Math.min(50 * 2 ** Math.min(attempt, 16), 2_000) * (1 - random / 2);
}
