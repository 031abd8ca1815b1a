import type { Affinity } from "../model/settings.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord } from "../ports/registry.ts";
import { EdgeFeed, type FeedAnswer } from "./feed.ts";
import { fileText } from "./traefik-files.ts";
import { renderTraefikView } from "./traefik-view.ts";
import { ViewFollower } from "./view-follower.ts";
import type { EdgeTimes } from "./view-of.ts";
import { viewProblem } from "./view-problem.ts";

export interface NodeFeedParts {
  /** The nodes that are up or draining, as this node's table has them: they cost no question to the registry. */
  readonly members: { all(): readonly NodeRecord[]; onChange(listener: () => void): () => void };
  readonly affinity: readonly Affinity[];
  readonly times: EdgeTimes;
  readonly log: Log;
}

/** How often it looks at the table without being told of a change: only for nodes that are gone for good. */
const everyMs = 1_000;

/** The view as one node knows it, for a Traefik that asks the nodes themselves. */
export class NodeFeed {
  readonly #feed = new EdgeFeed();
  readonly #follower: ViewFollower;

  constructor({ members, affinity, times, log }: NodeFeedParts) {
    this.#follower = new ViewFollower({
      nodes: async () => members.all(),
      onNodesChanged: (listener) => members.onChange(listener),
      everyMs,
      times,
      now: () => performance.now(),
      onView: (view) => {
        const file = renderTraefikView(view, { affinity });
        const problem = viewProblem(file);
        if (problem === undefined) this.#feed.show(fileText(file));
        else log.error("edge-refused", { reason: problem });
      },
      log,
    });
  }

  start(): void {
    this.#follower.start();
  }

  answer(): Promise<FeedAnswer> {
    return this.#feed.answer();
  }

  async stop(): Promise<void> {
    await this.#follower.stop();
  }
}
