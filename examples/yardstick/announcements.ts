import { setTimeout as sleep } from "node:timers/promises";
import type { SessionContext, TaskHandle } from "mooring";

/** One announcement under way. It lives in session state, so that it goes on wherever the session does. */
export interface Announcement {
  /** The number sent last. */
  sent: number;
  readonly count: number;
  readonly everyMs: number;
}

/** More at once from one session than anybody needs: a bound, so that a client can't start timers without end. */
const mostAtOnce = 16;

/**
 * Each announcement has a slot, and each slot a task of its own. Names of tasks can't be made without end, because a
 * session knows each of them for as long as it lives.
 */
const slots = Array.from({ length: mostAtOnce }, (_, n) => String(n + 1));

/**
 * The session's announcements: numbers sent at an even pace, by tasks that go on after a move.
 *
 * @param send hands one number to the client
 * @returns starts one; throws when too many are under way
 */
export function announcements(
  session: SessionContext,
  send: (n: number) => Promise<void>,
): (count: number, everyMs: number) => void {
  // By slot.
  const underWay = session.state<Record<string, Announcement>>("announcements", {});
  const tasks = new Map<string, TaskHandle>();

  function declare(slot: string): TaskHandle {
    const task = session.task(`announce-${slot}`, ({ signal }) => announce(slot, signal), { auto: false });
    tasks.set(slot, task);
    return task;
  }

  async function announce(slot: string, signal: AbortSignal): Promise<void> {
    for (let next = underWay.value[slot]; next !== undefined; next = underWay.value[slot]) {
      await sleep(next.everyMs, undefined, { signal });
      signal.throwIfAborted();
      // The position and the message are kept as one, because no await comes between them: no number is ever sent twice.
      next.sent += 1;
      if (next.sent >= next.count) delete underWay.value[slot];
      await send(next.sent);
    }
  }

  // Those that were under way when the session came to this node go on. A session that begins has none, and what isn't
  // read costs nothing.
  if (session.epoch > 1) for (const slot of Object.keys(underWay.value)) declare(slot);

  return (count, everyMs) => {
    const free = slots.find((slot) => tasks.get(slot)?.running !== true);
    if (free === undefined) {
      throw new Error(`${mostAtOnce} announcements are under way in this session: wait until one has ended.`);
    }
    underWay.value[free] = { sent: 0, count, everyMs };
    (tasks.get(free) ?? declare(free)).start();
  };
}
