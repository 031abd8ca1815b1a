import { completable, type GetPromptResult, type McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { redPixelPng } from "./samples.ts";

const cities = ["paris", "park", "party"];

const twoArguments = z.object({
  arg1: completable(z.string().describe("First test argument"), (begun) =>
    cities.filter((city) => city.startsWith(begun)),
  ),
  arg2: z.string().describe("Second test argument"),
});
const resourceArgument = z.object({ resourceUri: z.string().describe("URI of the resource to embed") });

type Content = GetPromptResult["messages"][number]["content"];

function fromUser(...contents: Content[]): GetPromptResult {
  return { messages: contents.map((content) => ({ role: "user", content })) };
}

export function registerPrompts(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", { description: "A prompt without arguments" }, async () =>
    fromUser({ type: "text", text: "This is a simple prompt for testing." }),
  );

  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "A prompt with two arguments", argsSchema: twoArguments },
    async ({ arg1, arg2 }) => fromUser({ type: "text", text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  );

  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "A prompt with a resource in it", argsSchema: resourceArgument },
    async ({ resourceUri }) =>
      fromUser(
        {
          type: "resource",
          resource: { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content for testing." },
        },
        { type: "text", text: "Please process the embedded resource above." },
      ),
  );

  server.registerPrompt("test_prompt_with_image", { description: "A prompt with an image in it" }, async () =>
    fromUser(
      { type: "image", data: redPixelPng, mimeType: "image/png" },
      { type: "text", text: "Please analyze the image above." },
    ),
  );
}
