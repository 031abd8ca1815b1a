import { EdgeFeed } from "../edge/feed.ts";
import { Publisher, type PublisherParts } from "../edge/publisher.ts";
import { readBack } from "../edge/read-back.ts";
import type { WatchedFile } from "../edge/traefik-files.ts";
import { renderTraefikView, type TraefikFile } from "../edge/traefik-view.ts";
import { ViewFollower } from "../edge/view-follower.ts";
import { openRegistry } from "../registry/open-registry.ts";
import { type EdgeOptions, readEdgePlan } from "./edge-plan.ts";
import { CommandError } from "./failure.ts";
import { endProcess, logSink, logTo, print, printJson } from "./output.ts";
import { serveFeed } from "./serve-feed.ts";
import { onStopSignals } from "./stop-signals.ts";

/** A file is taken up within 100 ms, and 250 ms after the change before it; a feed is asked now and then. */
const takeUpMs = { file: 5_000, http: 15_000 };

/** `mooring edge`: keeps a Traefik up to date, until it is ended. */
export async function runEdge(options: EdgeOptions): Promise<void> {
  const plan = readEdgePlan(options);
  const { json = false } = options;
  const log = logTo(logSink(json));
  const ending: (() => Promise<void>)[] = [];
  const end = async () => {
    for (const one of ending.splice(0).reverse()) await one();
  };
  onStopSignals(
    () => void end().then(() => endProcess(0)),
    () => process.exit(1),
  );

  const render: PublisherParts["render"] = (view) => renderTraefikView(view, plan);
  const difference = (provider: "file" | "http") => {
    const api = plan.traefikApi;
    return api === undefined ? undefined : (shown: TraefikFile) => readBack(api, provider, [shown]);
  };
  try {
    const publishers: Publisher[] = [];
    if (plan.file !== undefined) {
      const file = plan.file;
      await prepare(file);
      const way = { deliver: (text: string) => file.write(text), delivered: (text: string) => file.says(text) };
      const publisher = { render, ...way, difference: difference("file"), takeUpMs: takeUpMs.file, log };
      publishers.push(new Publisher(publisher));
    }
    let url: string | undefined;
    if (plan.listen !== undefined) {
      const feed = new EdgeFeed();
      const listener = await serveFeed(feed, plan.listen, plan.allowHost);
      ending.push(() => listener.stop());
      url = listener.url;
      const way = {
        deliver: async (text: string) => feed.show(text),
        delivered: async (text: string) => feed.tells(text),
      };
      const publisher = { render, ...way, difference: difference("http"), takeUpMs: takeUpMs.http, log };
      publishers.push(new Publisher(publisher));
    }
    const registry = openRegistry({ redis: plan.redis, namespace: plan.namespace, log });
    ending.push(() => registry.stop());
    await registry.start();
    const follower = new ViewFollower({
      nodes: () => registry.nodes(),
      onNodesChanged: (listener) => registry.onNodesChanged(listener),
      onReachable: (listener) => registry.onReachable(listener),
      everyMs: plan.renew,
      times: { lease: plan.lease, goneAfter: plan.goneAfter },
      now: () => performance.now(),
      onView: (view) => {
        for (const publisher of publishers) void publisher.publish(view);
      },
      log,
    });
    for (const publisher of publishers) ending.push(() => publisher.stop());
    ending.push(() => follower.stop());
    follower.start();
    const ready = { event: "ready", file: plan.file?.path ?? null, feed: url ?? null, pid: process.pid };
    if (json) printJson(ready);
    else print(`The cluster is published to ${[ready.file, ready.feed].filter((way) => way !== null).join(" and ")}.`);
  } catch (error) {
    await end();
    throw error;
  }
}

async function prepare(file: WatchedFile): Promise<void> {
  try {
    await file.prepare();
  } catch (error) {
    const why = (error as Error).message;
    throw new CommandError(
      "edge-file",
      `The view can't be written to ${file.path}: ${why}. Give --file a folder that this user may write to.`,
    );
  }
}
