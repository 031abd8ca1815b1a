import type { Command } from "commander";
import type { SessionList, SessionView } from "../admin/target.ts";
import { askCluster, urlOption } from "./cluster-address.ts";
import { ago, print, printJson, table, warn } from "./output.ts";

export function registerSessions(program: Command): void {
  program
    .command("sessions")
    .description("list the sessions of a running cluster, or show one")
    .argument("[id]", "a session")
    .option(...urlOption)
    .option("--json", "one JSON document")
    .action(
      async (id: string | undefined, { url, json = false }: { readonly url?: string; readonly json?: boolean }) => {
        if (id !== undefined) {
          const session = (await askCluster(url, `/api/sessions/${encodeURIComponent(id)}`)) as SessionView;
          return json ? printJson(session) : print(describe(session));
        }
        const { sessions, silent } = (await askCluster(url, "/api/sessions")) as SessionList;
        if (silent.length > 0) {
          warn(json, `These nodes did not answer, and their sessions are missing here: ${silent.join(", ")}.`, {
            nodes: silent,
          });
        }
        if (json) return printJson(sessions);
        const head = ["SESSION", "NODE", "CLIENT", "STREAMS", "IN FLIGHT", "OPENED", "LAST SEEN"];
        const rows = sessions.map((session) => [
          session.id,
          session.node,
          session.client ?? "-",
          String(session.streams),
          String(session.inFlight),
          `${ago(session.createdAt)} ago`,
          `${ago(session.lastSeenAt)} ago`,
        ]);
        print(rows.length === 0 ? "There are no sessions." : table(head, rows));
      },
    );
}

function describe(session: SessionView): string {
  const time = (ms: number) => `${new Date(ms).toISOString()} (${ago(ms)} ago)`;
  const { createdAt, lastSeenAt, ...rest } = session;
  const facts = { ...rest, createdAt: time(createdAt), lastSeenAt: time(lastSeenAt) };
  const width = Math.max(...Object.keys(facts).map((key) => key.length));
  return Object.entries(facts)
    .map(([key, value]) => `${key.padEnd(width)}  ${value ?? "-"}`)
    .join("\n");
}
