import { spawn } from "node:child_process";
import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";

export default defineServer(({ session }) => {
  const server = new McpServer({ name: "shells", version: "1.0.0" });
  server.registerTool("open_shell", {}, async () => {
    session.pin("a shell runs in this node's machine");
    const shell = spawn("sh");
    session.signal.addEventListener("abort", () => shell.kill());
    return { content: [{ type: "text", text: String(shell.pid) }] };
  });
  return server;
});
