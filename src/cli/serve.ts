import type { Command } from "commander";
import { addNodeOptions, wholeNumber } from "./node-options.ts";
import type { ServeOptions } from "./run-serve.ts";

export function registerServe(program: Command): void {
  const serve = program
    .command("serve")
    .description("run one node; without --redis a cluster of one")
    .argument("[module]", "a file, a package, or trips, yardstick, conformance")
    .option(
      "--port <port>",
      "where /mcp and the app are served; 0 takes a free one",
      wholeNumber("--port", 0, 65_535),
      3_001,
    )
    .option("--host <host>", "the interface to listen on; 0.0.0.0 for all", "127.0.0.1")
    .option("--name <name>", "unique in the cluster (default: host name and port)")
    .option(
      "--redis <url>",
      "the registry: redis://, rediss://, redis+sentinel://, redis+cluster:// (env: MOORING_REDIS)",
    )
    .option("--advertise <url>", "where the edge and other nodes reach this one (default: by --host and --port)")
    .option("--json", "one JSON line when it serves, and logs as JSON");
  addNodeOptions(serve).action(async (module: string | undefined, options: ServeOptions) => {
    // What a node needs takes its time to load: not for the other commands.
    const { runServe } = await import("./run-serve.ts");
    await runServe(module, options);
  });
}
