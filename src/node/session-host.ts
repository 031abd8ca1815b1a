import { formatToWrite, ownFormats } from "../model/formats.ts";
import type { Settings } from "../model/settings.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord } from "../ports/registry.ts";
import { HoldBack } from "../session/hold-back.ts";
import { KeepAlive } from "../session/keep-alive.ts";
import { ListChecks } from "../session/list-checks.ts";
import { RetainedEvents } from "../session/retained-events.ts";
import type { SessionHost } from "../session/session.ts";
import { StateError } from "../session/state-error.ts";
import type { NodeMetrics } from "./metrics.ts";

export interface SessionHostParts extends Pick<SessionHost, "node" | "definition" | "now"> {
  readonly settings: Settings;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  /** The nodes of the last table. */
  members(): readonly NodeRecord[];
}

/** How often retained events are looked through for those that are too old. */
const sweepMs = 30_000;

/** Makes what the sessions of a node share. `stop` ends its timers. */
export function startSessionHost(parts: SessionHostParts): { readonly host: SessionHost; stop(): void } {
  const { node, definition, settings, metrics, log, members, now } = parts;
  const retained = new RetainedEvents();
  const keepAlive = new KeepAlive();
  const holdBack = new HoldBack();
  const listChecks = new ListChecks();
  const sweep = setInterval(() => retained.sweep(now()), sweepMs).unref();
  return {
    host: {
      node,
      definition,
      retained,
      keepAlive,
      holdBack,
      listChecks,
      answerAsJson: settings.answers === "json",
      holdMs: settings.hold,
      strict: settings.durability === "strict",
      ledger: settings.ledger,
      leftUnlogged: (_session, count) => metrics.leftUnlogged(count),
      format: () => formatToWrite(ownFormats, members()),
      now,
      overflowed: (session, stream) => log.warn("stream-overflowed", { session, stream }),
      serverFailed: (session, error) => {
        // What an SDK reports is mostly what a client did; state that can't be kept is the person's own code's.
        const level = error instanceof StateError ? "error" : "debug";
        log[level]("server-error", { session, error: error.message });
      },
      taskFailed: (session, task, error) => log.error("server-error", { session, task, error: error.message }),
    },
    stop: () => {
      keepAlive.stop();
      holdBack.stop();
      listChecks.stop();
      clearInterval(sweep);
    },
  };
}
