/** An answer of the feed. */
export interface FeedAnswer {
  readonly status: 200 | 503;
  readonly contentType: string;
  readonly body: string;
}

/** Less than the 5 s that Traefik's http provider waits for an answer. */
const patienceMs = 4_000;

/**
 * The view over HTTP, for a Traefik that shares no folder with Mooring (`providers.http`). It always answers with the
 * last good view: an error makes Traefik ask ever more seldom, and an empty view wipes every route.
 *
 * Before there is a good view, a question waits for it. If none comes, the answer is 503: the only one that leaves a
 * running Traefik the routes that it has from before this process started.
 */
export class EdgeFeed {
  #text: string | undefined;
  readonly #waiting = new Set<() => void>();

  /** Takes a newer view, as text: one whose soundness was checked. */
  show(text: string): void {
    this.#text = text;
    for (const go of this.#waiting) go();
  }

  /** Whether it tells this view and no other. */
  tells(text: string): boolean {
    return this.#text === text;
  }

  async answer(waitMs: number = patienceMs): Promise<FeedAnswer> {
    if (this.#text === undefined) await this.#firstView(waitMs);
    if (this.#text === undefined) {
      const body = "No node of the cluster has been seen yet. Traefik keeps its routes, and asks again.\n";
      return { status: 503, contentType: "text/plain; charset=utf-8", body };
    }
    return { status: 200, contentType: "application/json", body: this.#text };
  }

  async #firstView(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const go = () => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = setTimeout(go, waitMs);
      this.#waiting.add(go);
    });
  }
}
