import type { Command } from "commander";
import { askCluster, urlOption } from "./cluster-address.ts";
import { print, printJson } from "./output.ts";

export function registerClose(program: Command): void {
  program
    .command("close")
    .description("end a session, wherever it lives")
    .argument("<id>", "the session")
    .option(...urlOption)
    .option("--json", "one JSON document")
    .action(async (id: string, { url, json }: { readonly url?: string; readonly json?: boolean }) => {
      const closed = await askCluster(url, `/api/sessions/${encodeURIComponent(id)}`, "DELETE");
      if (json === true) printJson(closed);
      else print(`Session ${id} is closed.`);
    });
}
