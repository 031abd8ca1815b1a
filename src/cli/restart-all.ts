import { setTimeout as sleep } from "node:timers/promises";
import type { NodeView } from "../admin/target.ts";
import { writeDuration } from "../model/written-values.ts";
import type { ClusterWatch } from "./cluster-watch.ts";
import { CommandError } from "./failure.ts";
import { sayWhenInterrupted } from "./interrupted.ts";
import { type RestartStep, restartNode } from "./restart-node.ts";

const lookEveryMs = 250;

export interface RestartHow {
  /** How long a supervisor and a start may take, in milliseconds. */
  readonly startDeadline: number;
  readonly json: boolean;
  onStep(step: RestartStep): void;
}

/** One node after another, so that there is always one that takes the sessions of the one that restarts. */
export async function restartAll(watch: ClusterWatch, nodes: readonly NodeView[], how: RestartHow): Promise<void> {
  refuseToBegin(nodes);
  const names = nodes.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    const left = names.slice(index + 1);
    try {
      if (index > 0) await waitForAll(watch, names, how.startDeadline);
    } catch (error) {
      throw stopped(error, names.slice(index));
    }
    try {
      await restartOne(watch, name, how, left);
    } catch (error) {
      throw stopped(error, left);
    }
  }
}

/** @param left the nodes that come after it */
export async function restartOne(
  watch: ClusterWatch,
  name: string,
  how: RestartHow,
  left: readonly string[] = [],
): Promise<void> {
  const rest = left.length === 0 ? "" : ` ${leftAsTheyAre(left)}`;
  const said = () => `Node ${name} was asked to restart, and does so all the same: mooring nodes shows it.${rest}`;
  let stop = () => {};
  try {
    await restartNode(watch, name, {
      startDeadline: how.startDeadline,
      onStep: (step) => {
        if (step.event === "restarting") stop = sayWhenInterrupted(said, how.json);
        how.onStep(step);
      },
    });
  } finally {
    stop();
  }
}

function stopped(error: unknown, left: readonly string[]): unknown {
  if (!(error instanceof CommandError) || left.length === 0) return error;
  const message = `${error.message} The rolling restart stops here: ${leftAsTheyAre(left)}`;
  return new CommandError(error.code, message, error.exitCode, { cause: error.cause });
}

function leftAsTheyAre(names: readonly string[]): string {
  return `${names.join(", ")} ${names.length === 1 ? "was left as it is" : "were left as they are"}.`;
}

/** A cluster that lacks a node already does not lose another one, and one that can't be restarted is found before. */
function refuseToBegin(nodes: readonly NodeView[]): void {
  const down = nodes.filter(({ state }) => state === "down").map(({ name }) => name);
  if (down.length > 0) {
    throw new CommandError(
      "node-down",
      `No node was restarted, because ${areDown(down)}: ` +
        "the cluster would lack one more meanwhile. Start what is down first (mooring nodes shows it).",
    );
  }
  const deaf = nodes.filter(({ admin }) => admin === null).map(({ name }) => name);
  if (deaf.length > 0) {
    throw new CommandError(
      "node-not-told",
      `No node was restarted, because ${deaf.join(", ")} can't be asked: without an admin listener (--admin off). ` +
        "Restart them by what supervises them: SIGTERM does the same.",
    );
  }
}

/** A node may die while another one restarts, or somebody else restarts nodes too: then it is waited for. */
async function waitForAll(watch: ClusterWatch, names: readonly string[], deadlineMs: number): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const missing = missingOf(names, await seenBy(watch));
    if (missing.length === 0) return;
    if (performance.now() >= end) {
      throw new CommandError(
        "node-down",
        `${areDown(missing)} since the rolling restart began, for ${writeDuration(deadlineMs)} (--start-deadline): ` +
          "the cluster would lack one more meanwhile. Start what is down, and begin again.",
      );
    }
    await sleep(lookEveryMs);
  }
}

/** Which of the nodes are not listed any more, or down. */
export function missingOf(names: readonly string[], seen: readonly Pick<NodeView, "name" | "state">[]): string[] {
  const there = new Set(seen.filter(({ state }) => state !== "down").map(({ name }) => name));
  return names.filter((name) => !there.has(name));
}

async function seenBy(watch: ClusterWatch): Promise<readonly NodeView[]> {
  try {
    return await watch.nodes();
  } catch (error) {
    if (error instanceof CommandError) return [];
    throw error;
  }
}

function areDown(names: readonly string[]): string {
  return `${names.join(", ")} ${names.length === 1 ? "is" : "are"} down or can't be asked`;
}
