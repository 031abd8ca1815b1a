import { setTimeout as sleep } from "node:timers/promises";
import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";

const pages = 20;
const write = (_page: number, signal: AbortSignal) => sleep(20, undefined, { signal });

export default defineServer(({ session }) => {
  const server = new McpServer({ name: "reports", version: "1.0.0" }, { capabilities: { logging: {} } });
  const report = session.state("report", { page: 0 });

  const writing = session.task(
    "report",
    async ({ signal }) => {
      while (report.value.page < pages) {
        await write(report.value.page + 1, signal);
        signal.throwIfAborted();
        report.value.page += 1;
        await server.sendLoggingMessage({ level: "info", data: report.value }, session.id);
      }
    },
    { auto: false },
  );
  server.registerTool("write_report", {}, async () => {
    report.value = { page: 0 };
    writing.start();
    return { content: [{ type: "text", text: "It is being written" }] };
  });
  return server;
});
