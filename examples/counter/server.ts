import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";

export default defineServer(({ session }) => {
  const server = new McpServer({ name: "counter", version: "1.0.0" });
  const count = session.state("count", 0); // outlives the node that holds the session
  server.registerTool("count", { description: "Count up" }, async () => {
    count.value += 1;
    return { content: [{ type: "text", text: String(count.value) }] };
  });
  return server;
});
