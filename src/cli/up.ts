import type { Command } from "commander";
import { addNodeOptions, placedByCluster, wholeNumber } from "./node-options.ts";
import type { UpOptions } from "./run-up.ts";

const mostNodes = 100;

export function registerUp(program: Command): void {
  const port = (name: string) => wholeNumber(name, 0, 65_535);
  const up = program
    .command("up")
    .description("run a local cluster: nodes, Traefik before them, Valkey behind them")
    .option("--nodes <count>", "how many nodes", wholeNumber("--nodes", 1, mostNodes), 3)
    .option("--server <module>", "what they serve: a file, a package, or trips, yardstick, conformance", "trips")
    .option("--port <port>", "HTTP; 0 takes free ports for everything", port("--port"), 8_080)
    .option("--tls-port <port>", "HTTPS (default: 8443)", port("--tls-port"))
    .option("--redis <url>", "use this server instead of starting one (env: MOORING_REDIS)")
    .option("--restart", "start a dead node again")
    .option("--json", "one JSON line when everything serves, and logs as JSON")
    .option("--node-port <port>", "the first node's; the others follow (default: 3001)", port("--node-port"))
    .option("--admin-port <port>", "the first node's admin listener (default: 9401)", port("--admin-port"))
    .option("--console-port <port>", "the cluster's console (default: 9400)", port("--console-port"))
    .option("--redis-port <port>", "Valkey (default: 6390)", port("--redis-port"))
    .option("--api-port <port>", "Traefik's own API (default: 8081)", port("--api-port"));
  addNodeOptions(up, placedByCluster).action(async (options: UpOptions) => {
    const { runUp } = await import("./run-up.ts");
    await runUp(options);
  });
}
