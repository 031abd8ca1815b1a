import type { Command } from "commander";
import type { NodeView } from "../admin/target.ts";
import { askCluster, urlOption } from "./cluster-address.ts";
import { print, printJson } from "./output.ts";

export function registerDrain(program: Command): void {
  program
    .command("drain")
    .description("take a node out of the pool: it gets no new sessions, and serves those it has")
    .argument("<node>", "the node's name")
    .option("--cancel", "put it back into the pool")
    .option(...urlOption)
    .option("--json", "one JSON document")
    .action(async (name: string, { url, cancel, json }: { url?: string; cancel?: boolean; json?: boolean }) => {
      const method = cancel === true ? "DELETE" : "POST";
      const node = (await askCluster(url, `/api/nodes/${encodeURIComponent(name)}/drain`, method)) as NodeView;
      if (json === true) return printJson(node);
      print(
        node.state === "draining"
          ? `Node ${name} is draining: it gets no new sessions, and serves the ${node.sessions} it has.`
          : `Node ${name} is ${node.state}: it takes new sessions.`,
      );
    });
}
