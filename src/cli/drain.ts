import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { NodeView, ToldNode } from "../admin/target.ts";
import { writeDuration } from "../model/written-values.ts";
import { urlOption } from "./cluster-address.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { CommandError } from "./failure.ts";
import { sayWhenInterrupted } from "./interrupted.ts";
import { OnceASecond } from "./once-a-second.ts";
import { countOf, print, printJson, progress } from "./output.ts";

const lookEveryMs = 250;
/** What is in flight at the drain's deadline gets this long. */
const afterDeadlineMs = 5_000;
/** A node that is only busy answers within this time. */
const silentMs = 5_000;

export function registerDrain(program: Command): void {
  program
    .command("drain")
    .description("take a node out of the pool, and wait until it has handed its sessions over")
    .argument("<node>", "the node's name")
    .option("--cancel", "put it back into the pool")
    .option(...urlOption)
    .option("--json", "one JSON document")
    .action(async (name: string, { url, cancel, json }: { url?: string; cancel?: boolean; json?: boolean }) => {
      const watch = await ClusterWatch.open(url);
      const told = await watch.tell(name, cancel === true ? "undrain" : "drain");
      const { drainDeadline, stopDeadline, ...asTold } = told;
      const seldom = new OnceASecond();
      const shown = (left: number) =>
        seldom.say(left, () => json !== true && progress(`Node ${name} has ${countOf(left, "session")} to hand over.`));
      const node = told.drainLeft === undefined ? asTold : await waitForDrain(watch, told, shown, json === true);
      if (json === true) return printJson(node);
      print(
        node.state === "draining"
          ? `Node ${name} is draining: it gets no new sessions, and serves the ${node.sessions} it has.`
          : `Node ${name} is ${node.state}: it takes new sessions.`,
      );
    });
}

/** Waits until no drain is under way any more, and gives the node as it is then. */
async function waitForDrain(
  watch: ClusterWatch,
  told: ToldNode,
  shown: (left: number) => void,
  json: boolean,
): Promise<NodeView> {
  const { name } = told;
  const said = () => `Node ${name} drains all the same: mooring drain ${name} waits for it again, --cancel undoes it.`;
  const stop = sayWhenInterrupted(said, json);
  try {
    return await lookUntilDrained(watch, told, shown);
  } finally {
    stop();
  }
}

async function lookUntilDrained(watch: ClusterWatch, told: ToldNode, shown: (left: number) => void): Promise<NodeView> {
  const { name, drainDeadline } = told;
  const end = performance.now() + drainDeadline + afterDeadlineMs;
  let left = told.drainLeft ?? 0;
  let heardAt = performance.now();
  for (;;) {
    shown(left);
    await sleep(lookEveryMs);
    const node = await watch.node(name);
    if (node !== undefined && node.state !== "down") {
      heardAt = performance.now();
      if (node.state === "up")
        throw notDrained(`Node ${name} takes new sessions again: somebody undid its drain.`, left);
      if (node.drainLeft === undefined) return node;
      left = node.drainLeft;
    }
    if (performance.now() - heardAt >= silentMs) {
      throw notDrained(`Node ${name} does not answer any more. See mooring nodes, and its log.`, left);
    }
    if (performance.now() < end) continue;
    const waited = writeDuration(drainDeadline + afterDeadlineMs);
    throw notDrained(
      `Node ${name} is draining, but its drain is not over after ${waited} (drain-deadline ${writeDuration(drainDeadline)}). ` +
        "It goes on, and serves what it has; its log says why. mooring drain waits for it again.",
      left,
    );
  }
}

function notDrained(what: string, left: number): CommandError {
  return new CommandError(
    "node-not-drained",
    `${what} It had ${countOf(left, "session")} to hand over when it was last seen.`,
  );
}
