import { once } from "node:events";
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
 * session state; the listening is a task, which begins again on each node that the session comes to. What changed while
 * it was on its way nobody heard, so then the session is told to look.
 */
export function watching(session: SessionContext, changes: Changes, listener: Listener): Watching {
  const watched = session.state<string[]>("watching", []);
  const open = new Map<string, () => void>();

  const task = session.task("watching", async ({ restored, signal }) => {
    for (const id of watched.value) {
      listen(id);
      if (restored) listener({ kind: "missed", id });
    }
    if (!signal.aborted) await once(signal, "abort");
    for (const unwatch of open.values()) unwatch();
    open.clear();
  });

  function listen(id: string): void {
    if (!open.has(id)) open.set(id, changes.watch(id, listener));
  }

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
      // Before the task runs it has this from the state.
      if (task.running) listen(id);
    },
    remove(id) {
      watched.value = watched.value.filter((other) => other !== id);
      open.get(id)?.();
      open.delete(id);
    },
  };
}
