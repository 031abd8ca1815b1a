// A server of ordinary size, for what a session of it costs: ten tools, whose schemas are made once for the process. A
// server that makes them for each session pays several times a session's memory.
import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";
import { z } from "zod";

const names = ["search", "read", "create", "update", "remove", "list", "move", "copy", "share", "describe"] as const;

const tools = names.map((name) => ({
  name,
  description: `${name} documents of the library, one or several at a time`,
  inputSchema: z.object({
    document: z.string().max(200).describe("the document's name"),
    folder: z.string().max(1_000).optional().describe("the folder that it is in; the top one if absent"),
    limit: z.number().int().min(1).max(1_000).default(20).describe("how many at most"),
    kinds: z
      .array(z.enum(["text", "table", "drawing"]))
      .max(3)
      .optional()
      .describe("only documents of these kinds"),
  }),
  outputSchema: z.object({ document: z.string(), found: z.number().int(), summary: z.string() }),
  annotations: { readOnlyHint: true },
}));

export default defineServer(() => {
  const server = new McpServer({ name: "ten-tools", version: "1.0.0" });
  for (const { name, ...tool } of tools) {
    server.registerTool(name, tool, async ({ document, limit }) => {
      const structuredContent = { document, found: limit, summary: `${name} ${document}` };
      return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
    });
  }
  return server;
});
