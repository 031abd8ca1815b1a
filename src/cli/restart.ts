import type { Command } from "commander";
import { readDuration } from "../model/written-values.ts";
import { urlOption } from "./cluster-address.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { CommandError } from "./failure.ts";
import { OnceASecond } from "./once-a-second.ts";
import { countOf, print, printJson, progress } from "./output.ts";
import { restartAll, restartOne } from "./restart-all.ts";
import type { RestartStep } from "./restart-node.ts";

interface RestartOptions {
  readonly rolling?: boolean;
  readonly startDeadline: number;
  readonly url?: string;
  readonly json?: boolean;
}

const defaultStartMs = 60_000;
const longestStartMs = 60 * 60_000;

export function registerRestart(program: Command): void {
  program
    .command("restart")
    .description("hand a node's sessions over and end it, and wait until what supervises it has started it again")
    .argument("[node]", "the node's name")
    .option("--rolling", "all nodes, one after another")
    .option(
      "--start-deadline <duration>",
      "how long the next start may take (default: 60s)",
      readStartDeadline,
      defaultStartMs,
    )
    .option(...urlOption)
    .option("--json", "one JSON line for each step")
    .action(async (name: string | undefined, options: RestartOptions) => {
      const { rolling = false, url, json = false } = options;
      if (rolling === (name !== undefined)) {
        throw new CommandError("usage", "mooring restart needs a node's name, or --rolling for all of them.", 2);
      }
      const watch = await ClusterWatch.open(url);
      const nodes = await watch.nodes();
      const how = { startDeadline: options.startDeadline, json, onStep: json ? jsonSteps() : shownSteps() };
      if (name !== undefined) return await restartOne(watch, name, how);
      const startedAt = performance.now();
      await restartAll(watch, nodes, how);
      if (!json) print(`${countOf(nodes.length, "node")} restarted in ${secondsSince(startedAt)}.`);
    });
}

function jsonSteps(): (step: RestartStep) => void {
  let seldom = new OnceASecond();
  return (step) => {
    switch (step.event) {
      case "restarting":
        seldom = new OnceASecond();
        return printJson({ event: step.event, ...step.node });
      case "draining":
        return seldom.say(step.left, () => printJson({ event: step.event, name: step.name, sessions: step.left }));
      case "ended":
        return printJson(step);
      case "restarted":
        return printJson({ event: step.event, ...step.node, ms: step.ms });
    }
  };
}

function shownSteps(): (step: RestartStep) => void {
  let seldom = new OnceASecond();
  return (step) => {
    switch (step.event) {
      case "restarting":
        seldom = new OnceASecond();
        return progress(
          `Node ${step.node.name} (pid ${step.node.pid}) ends; it has ${countOf(step.node.sessions, "session")}.`,
        );
      case "draining":
        return seldom.say(step.left, () => progress(`Node ${step.name} has ${countOf(step.left, "session")} left.`));
      case "ended":
        return progress(`Node ${step.name} has ended, and is waited for.`);
      case "restarted":
        return print(
          `Node ${step.node.name} restarted in ${seconds(step.ms)}: pid ${step.node.pid} after ${step.before.pid}.`,
        );
    }
  };
}

function secondsSince(startedAt: number): string {
  return seconds(performance.now() - startedAt);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function readStartDeadline(written: string): number {
  const ms = readDuration(written, "--start-deadline");
  if (ms > 0 && ms <= longestStartMs) return ms;
  throw new CommandError("usage", `--start-deadline is "${written}". Give a duration up to 1h, such as 60s.`, 2);
}
