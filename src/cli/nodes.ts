import type { Command } from "commander";
import type { NodeView } from "../admin/target.ts";
import { askCluster, urlOption } from "./cluster-address.ts";
import { ago, print, printJson, table } from "./output.ts";

export function registerNodes(program: Command): void {
  program
    .command("nodes")
    .description("list the nodes of a running cluster")
    .option(...urlOption)
    .option("--json", "one JSON document")
    .action(async ({ url, json }: { readonly url?: string; readonly json?: boolean }) => {
      const nodes = (await askCluster(url, "/api/nodes")) as readonly NodeView[];
      if (json === true) return printJson(nodes);
      const head = ["NODE", "TAG", "STATE", "SESSIONS", "PID", "URL", "ADMIN", "UP FOR"];
      const rows = nodes.map((node) => [
        node.name,
        node.tag,
        node.state,
        String(node.sessions),
        String(node.pid),
        node.url,
        node.admin ?? "-",
        node.state === "down" ? "-" : ago(node.since),
      ]);
      print(table(head, rows));
    });
}
