import type { SessionContext } from "mooring";

/** One announcement under way. It lives in session state, so that its position is known wherever the session is. */
export interface Announcement {
  /** The number sent last. */
  sent: number;
  readonly count: number;
  readonly everyMs: number;
}

/** More at once from one session than anybody needs: a bound, so that a client can't start timers without end. */
const mostAtOnce = 16;

/**
 * The session's announcements: numbers sent at an even pace.
 *
 * @param send hands one number to the client
 * @returns starts one; throws when too many are under way
 */
export function announcements(
  session: SessionContext,
  send: (n: number) => Promise<void>,
): (count: number, everyMs: number) => void {
  const underWay = session.state<Announcement[]>("announcements", []);
  const timers = new Set<NodeJS.Timeout>();
  session.signal.addEventListener("abort", () => {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  });

  function scheduleNext(announcement: Announcement): void {
    if (session.signal.aborted) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      void sendNext(announcement);
    }, announcement.everyMs);
    timers.add(timer);
  }

  async function sendNext(announcement: Announcement): Promise<void> {
    // The position moves before the message leaves: a number that a client has seen is never sent again.
    announcement.sent += 1;
    const last = announcement.sent >= announcement.count;
    if (last) underWay.value = underWay.value.filter((other) => other !== announcement);
    try {
      await send(announcement.sent);
    } catch {
      // The session ended while this number was on its way: there is nobody left to tell.
      return;
    }
    if (!last) scheduleNext(announcement);
  }

  return (count, everyMs) => {
    if (underWay.value.length >= mostAtOnce) {
      throw new Error(`${mostAtOnce} announcements are under way in this session: wait until one has ended.`);
    }
    const announcement: Announcement = { sent: 0, count, everyMs };
    underWay.value.push(announcement);
    scheduleNext(announcement);
  };
}
