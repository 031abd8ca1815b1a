import { EventEmitter, on } from "node:events";
import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";

/** Of this process. */
export const news = new EventEmitter();

export default defineServer(({ session }) => {
  const server = new McpServer({ name: "news", version: "1.0.0" }, { capabilities: { logging: {} } });
  const tell = (data: string) => server.sendLoggingMessage({ level: "info", data }, session.id);

  session.task("news", async ({ restored, signal }) => {
    if (restored) await tell("You may have missed something");
    for await (const [text] of on(news, "text", { signal })) await tell(text);
  });
  return server;
});
