// What the official conformance suite (@modelcontextprotocol/conformance) asks of a server, and no more.
import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";
import { registerAskingTools } from "./asking.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { registerStreamingTools, registerTools } from "./tools.ts";

export default defineServer(() => {
  const server = new McpServer(
    { name: "conformance", version: "1.0.0" },
    { capabilities: { logging: {}, completions: {}, resources: { subscribe: true, listChanged: true } } },
  );
  registerTools(server);
  registerStreamingTools(server);
  registerAskingTools(server);
  registerResources(server);
  registerPrompts(server);
  return server;
});
