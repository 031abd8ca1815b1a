import { setTimeout as sleep } from "node:timers/promises";
import type { NodeView, ToldNode } from "../admin/target.ts";
import { writeDuration } from "../model/written-values.ts";
import type { ClusterWatch } from "./cluster-watch.ts";
import { CommandError } from "./failure.ts";
import { countOf } from "./output.ts";

const lookEveryMs = 250;

/** What a look at a node that restarts shows. */
export type RestartLook =
  /** It is the incarnation that was asked to end. */
  | { readonly kind: "ending"; readonly left: number }
  | { readonly kind: "gone" }
  | { readonly kind: "back"; readonly node: NodeView };

/** @param before the incarnation that was asked to end */
export function lookAt(before: Pick<NodeView, "pid" | "since">, seen: NodeView | undefined): RestartLook {
  if (seen === undefined || seen.state === "down") return { kind: "gone" };
  // In a container every process has the pid 1.
  if (seen.pid === before.pid && seen.since === before.since) {
    return { kind: "ending", left: seen.drainLeft ?? seen.sessions };
  }
  return seen.state === "up" ? { kind: "back", node: seen } : { kind: "gone" };
}

/** What happens while a node restarts, in this order. */
export type RestartStep =
  | { readonly event: "restarting"; readonly node: ToldNode }
  /** Comes again and again, until it has ended. */
  | { readonly event: "draining"; readonly name: string; readonly left: number }
  | { readonly event: "ended"; readonly name: string; readonly ms: number }
  | { readonly event: "restarted"; readonly node: NodeView; readonly before: NodeView; readonly ms: number };

/**
 * Asks a node to end, and waits until its next incarnation serves.
 *
 * @param startDeadline how long its supervisor and its start may take, in milliseconds
 * @throws CommandError when it can't be asked, doesn't end in time, or doesn't come back
 */
export async function restartNode(
  watch: ClusterWatch,
  name: string,
  { startDeadline, onStep }: { readonly startDeadline: number; readonly onStep: (step: RestartStep) => void },
): Promise<void> {
  const before = await watch.tell(name, "restart");
  const askedAt = performance.now();
  onStep({ event: "restarting", node: before });
  const endDeadline = before.stopDeadline;
  let goneAt: number | undefined;
  for (;;) {
    await sleep(lookEveryMs);
    const look = lookAt(before, await watch.node(name));
    const now = performance.now();
    const ms = Math.round(now - askedAt);
    switch (look.kind) {
      case "ending":
        goneAt = undefined;
        if (ms > endDeadline) throw notEnded(before, endDeadline, look.left);
        onStep({ event: "draining", name, left: look.left });
        break;
      case "gone":
        if (goneAt === undefined) onStep({ event: "ended", name, ms });
        goneAt ??= now;
        if (now - goneAt > startDeadline) throw notBack(before, startDeadline);
        break;
      case "back":
        return onStep({ event: "restarted", node: look.node, before, ms });
    }
  }
}

function notEnded({ name, pid, drainDeadline }: ToldNode, endDeadline: number, left: number): CommandError {
  return new CommandError(
    "node-not-ended",
    `Node ${name} (pid ${pid}) was asked to restart, and has not ended within ${writeDuration(endDeadline)} ` +
      `(drain-deadline ${writeDuration(drainDeadline)}, and what a stop takes); it still has ${countOf(left, "session")}. ` +
      "Its log says what it waits for; a SIGTERM and a second one end it at once.",
  );
}

function notBack({ name, pid, admin }: ToldNode, startDeadline: number): CommandError {
  return new CommandError(
    "node-not-back",
    `Node ${name} (pid ${pid}) does not answer any more, and no new one was up within ${writeDuration(startDeadline)} ` +
      "(--start-deadline). What supervises it has to start it again after exit status 0, at the same admin address " +
      `(it was ${admin}): look at its log, or start it by hand.`,
  );
}
