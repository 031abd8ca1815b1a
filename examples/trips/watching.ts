import type { SessionContext } from "mooring";
import type { Changes, Listener } from "./changes.ts";

/** The most trips that one session watches at once. */
const mostWatched = 100;

export interface Watching {
  readonly ids: readonly string[];
  /** Throws when the session watches too many trips already. */
  add(id: string): void;
  remove(id: string): void;
}

/**
 * The trips that a session watches: a channel that is open for as long as the session lives. Which trips they are is
 * session state; the listening itself belongs to this process and ends with the session's signal.
 */
export function watching(session: SessionContext, changes: Changes, listener: Listener): Watching {
  const watched = session.state<string[]>("watching", []);
  const open = new Map<string, () => void>();

  function listen(id: string): void {
    if (!session.signal.aborted && !open.has(id)) open.set(id, changes.watch(id, listener));
  }

  for (const id of watched.value) listen(id);
  session.signal.addEventListener("abort", () => {
    for (const unwatch of open.values()) unwatch();
    open.clear();
  });

  return {
    get ids() {
      return watched.value;
    },
    add(id) {
      if (watched.value.includes(id)) return;
      if (watched.value.length >= mostWatched) {
        throw new Error(`This session watches ${mostWatched} trips already: unwatch one of them first.`);
      }
      watched.value = [...watched.value, id];
      listen(id);
    },
    remove(id) {
      watched.value = watched.value.filter((other) => other !== id);
      open.get(id)?.();
      open.delete(id);
    },
  };
}
