import { type McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { redPixelPng } from "./samples.ts";

const dataTemplate = new ResourceTemplate("test://template/{id}/data", { list: undefined });

export function registerResources(server: McpServer): void {
  server.registerResource(
    "static-text",
    "test://static-text",
    { description: "A text that never changes", mimeType: "text/plain" },
    async ({ href }) => ({
      contents: [{ uri: href, mimeType: "text/plain", text: "This is the content of the static text resource." }],
    }),
  );

  server.registerResource(
    "static-binary",
    "test://static-binary",
    { description: "A picture that never changes", mimeType: "image/png" },
    async ({ href }) => ({ contents: [{ uri: href, mimeType: "image/png", blob: redPixelPng }] }),
  );

  server.registerResource(
    "watched-resource",
    "test://watched-resource",
    { description: "A text that can be subscribed to", mimeType: "text/plain" },
    async ({ href }) => ({ contents: [{ uri: href, mimeType: "text/plain", text: "Subscribe to this." }] }),
  );

  server.registerResource(
    "data",
    dataTemplate,
    { description: "Data by id", mimeType: "application/json" },
    async ({ href }, { id }) => ({
      contents: [
        {
          uri: href,
          mimeType: "application/json",
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }),
  );

  // Nothing here ever changes, so a subscription is taken and never heard of again.
  server.server.setRequestHandler("resources/subscribe", async () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", async () => ({}));
}
