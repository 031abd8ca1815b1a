import type { Knowledge } from "../model/locate.ts";
import type { Session } from "../session/session.ts";

export type Ending = NonNullable<Knowledge["ended"]>;

const rememberMs = 60 * 60_000;
const maxEndings = 10_000;

/** The sessions that this node owns, and for an hour how those ended that it owned. */
export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  /** Oldest first. */
  readonly #endings = new Map<string, { readonly ending: Ending; readonly at: number }>();

  get size(): number {
    return this.#sessions.size;
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  all(): Session[] {
    return [...this.#sessions.values()];
  }

  /** All of them, as they come and go. */
  values(): MapIterator<Session> {
    return this.#sessions.values();
  }

  add(session: Session): void {
    this.#sessions.set(session.id, session);
  }

  /** Takes a session out and remembers how it ended. Gives it, if it was there. */
  end(id: string, ending: Ending, now: number): Session | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    this.#sessions.delete(id);
    this.remember(id, ending, now);
    return session;
  }

  /** Remembers how a session ended that this node owned. */
  remember(id: string, ending: Ending, now: number): void {
    this.#endings.set(id, { ending, at: now });
    if (this.#endings.size <= maxEndings) return;
    const [oldest] = this.#endings.keys();
    this.#endings.delete(oldest as string);
  }

  /** Takes a session out without a word on how it ended: it goes on elsewhere. Gives it, if it was there. */
  take(id: string): Session | undefined {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    return session;
  }

  /** Takes all sessions out without a word on how they ended: their node leaves. */
  clear(): Session[] {
    const sessions = this.all();
    this.#sessions.clear();
    return sessions;
  }

  /** How a session ended here, if that was within the last hour. */
  ending(id: string, now: number): Ending | undefined {
    const known = this.#endings.get(id);
    return known !== undefined && now - known.at <= rememberMs ? known.ending : undefined;
  }
}
