import { setTimeout as sleep } from "node:timers/promises";
import type { CallToolResult, McpServer } from "@modelcontextprotocol/server";
import { redPixelPng, richInput, silenceWav } from "./samples.ts";

export function text(words: string): CallToolResult {
  return { content: [{ type: "text", text: words }] };
}

/** The tools that answer by themselves. */
export function registerTools(server: McpServer): void {
  server.registerTool("test_simple_text", { description: "Answers with a text" }, async () =>
    text("This is a simple text response for testing."),
  );

  server.registerTool("test_image_content", { description: "Answers with an image" }, async () => ({
    content: [{ type: "image", data: redPixelPng, mimeType: "image/png" }],
  }));

  server.registerTool("test_audio_content", { description: "Answers with a sound" }, async () => ({
    content: [{ type: "audio", data: silenceWav, mimeType: "audio/wav" }],
  }));

  server.registerTool("test_embedded_resource", { description: "Answers with a resource" }, async () => {
    const words = "This is an embedded resource content.";
    const resource = { uri: "test://embedded-resource", mimeType: "text/plain", text: words };
    return { content: [{ type: "resource", resource }] };
  });

  server.registerTool(
    "test_multiple_content_types",
    { description: "Answers with three kinds of content" },
    async () => {
      const data = JSON.stringify({ test: "data", value: 123 });
      const resource = { uri: "test://mixed-content-resource", mimeType: "application/json", text: data };
      return {
        content: [
          { type: "text", text: "Multiple content types test:" },
          { type: "image", data: redPixelPng, mimeType: "image/png" },
          { type: "resource", resource },
        ],
      };
    },
  );

  server.registerTool("test_error_handling", { description: "Always fails" }, async () => {
    throw new Error("This tool intentionally returns an error for testing");
  });

  server.registerTool(
    "json_schema_2020_12_tool",
    { description: "Tool with JSON Schema 2020-12 features", inputSchema: richInput },
    async (input) => text(JSON.stringify(input)),
  );
}

/** The tools that say something before they answer, or whose stream is cut. */
export function registerStreamingTools(server: McpServer): void {
  server.registerTool("test_tool_with_logging", { description: "Logs while it works" }, async ({ mcpReq }) => {
    await mcpReq.log("info", "Tool execution started");
    await sleep(50, undefined, { signal: mcpReq.signal });
    await mcpReq.log("info", "Tool processing data");
    await sleep(50, undefined, { signal: mcpReq.signal });
    await mcpReq.log("info", "Tool execution completed");
    return text("Three log messages were sent.");
  });

  server.registerTool("test_tool_with_progress", { description: "Tells of its progress" }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await sleep(50, undefined, { signal: mcpReq.signal });
      if (progressToken === undefined) continue;
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
    }
    return text("Done: 100 of 100.");
  });

  server.registerTool("test_reconnection", { description: "Cuts its own stream, then answers" }, async (context) => {
    context.http?.closeSSE?.();
    await sleep(100, undefined, { signal: context.mcpReq.signal });
    return text("Whoever reads this came back for it with Last-Event-ID.");
  });
}
