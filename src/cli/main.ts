#!/usr/bin/env node
import { CommandError, tell } from "./failure.ts";
import { endProcess, reportFailure } from "./output.ts";
import { createProgram } from "./program.ts";

/** Commands that run until they are ended, and log: without a terminal their last word is JSON like the rest. */
const logging = ["up", "serve", "edge"];

async function main(args: readonly string[]): Promise<void> {
  // A reader that went away must not end a cluster.
  process.stdout.on("error", () => {});
  const json = args.includes("--json") || (logging.includes(args[0] ?? "") && !process.stderr.isTTY);
  try {
    refuseCommand(args);
    await createProgram().parseAsync(args, { from: "user" });
  } catch (error) {
    const told = tell(error);
    if (told.exitCode !== 0 && told.message !== "") reportFailure(told, json);
    await endProcess(told.exitCode);
  }
}

function refuseCommand(args: readonly string[]): void {
  if (["up", "serve"].includes(args[0] ?? "") && args.includes("--")) {
    throw new CommandError(
      "usage",
      "Serving a stdio server (-- CMD) is not possible in this version. Give a module.",
      2,
    );
  }
}

await main(process.argv.slice(2));
