import type { Command } from "commander";
import { settingSpecs } from "../model/settings.ts";
import type { EdgeOptions } from "./edge-plan.ts";
import { addNodeOptions } from "./node-options.ts";

/** The settings of nodes that concern the edge too. */
const shared = ["namespace", "affinity", "allow-host", "lease"];
const notShared = settingSpecs.map(({ flag }) => flag).filter((flag) => !shared.includes(flag));

export function registerEdge(program: Command): void {
  const edge = program
    .command("edge")
    .description("keep a Traefik up to date with the cluster, from beside it")
    .option(
      "--file <path>",
      "the file to keep, in a folder that Traefik watches, such as /etc/traefik/dynamic/view.yml",
    )
    .option("--listen <host:port>", "where Traefik's http provider asks for the view: /edge/traefik")
    .option(
      "--redis <url>",
      "the registry: redis://, rediss://, redis+sentinel://, redis+cluster:// (env: MOORING_REDIS)",
    )
    .option("--traefik-api <url>", "Traefik's own API, to read back what it took up, such as http://127.0.0.1:8081")
    .option("--entrypoint <name>", "an entry point that serves the cluster; once for each (default: Traefik's)", addTo)
    .option("--renew <duration>", "how often the registry is asked (default: 500ms)")
    .option("--gone-after <duration>", "when the sessions of a missing node go to another one (default: 10 leases)")
    .option("--json", "one JSON line when it works, and logs as JSON");
  addNodeOptions(edge, notShared).action(async (options: EdgeOptions) => {
    const { runEdge } = await import("./run-edge.ts");
    await runEdge(options);
  });
}

function addTo(name: string, names: readonly string[] = []): readonly string[] {
  return [...names, name];
}
