import type { ElicitRequestFormParams, McpServer, ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";
import { text } from "./tools.ts";

type Form = ElicitRequestFormParams["requestedSchema"];

const samplingInput = z.object({ prompt: z.string().describe("The prompt to send to the model") });
const elicitationInput = z.object({ message: z.string().describe("The message to show the user") });

const contactForm: Form = {
  type: "object",
  properties: {
    username: { type: "string", description: "User's response" },
    email: { type: "string", description: "User's email address" },
  },
  required: ["username", "email"],
};

/** A default for each primitive type. */
const defaultsForm: Form = {
  type: "object",
  properties: {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
};

const titledValues = [
  { const: "value1", title: "First Option" },
  { const: "value2", title: "Second Option" },
  { const: "value3", title: "Third Option" },
];

/** Each way of writing an enumeration, the deprecated one too. */
const enumsForm: Form = {
  type: "object",
  properties: {
    untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
    titledSingle: { type: "string", oneOf: titledValues },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
    titledMulti: { type: "array", items: { anyOf: titledValues } },
  },
};

/** Asks on the stream of the call, so that a client without a standalone stream can answer too. */
async function ask({ mcpReq }: ServerContext, message: string, requestedSchema: Form): Promise<string> {
  const reply = await mcpReq.elicitInput({ message, requestedSchema }, { relatedRequestId: mcpReq.id });
  return `action=${reply.action}, content=${JSON.stringify(reply.content ?? {})}`;
}

/** The tools that ask something of the client before they answer. */
export function registerAskingTools(server: McpServer): void {
  server.registerTool(
    "test_sampling",
    { description: "Asks the client's model", inputSchema: samplingInput },
    async ({ prompt }, { mcpReq }) => {
      const reply = await mcpReq.requestSampling(
        { messages: [{ role: "user", content: { type: "text", text: prompt } }], maxTokens: 100 },
        { relatedRequestId: mcpReq.id },
      );
      const first = Array.isArray(reply.content) ? reply.content[0] : reply.content;
      return text(`LLM response: ${first?.type === "text" ? first.text : JSON.stringify(first)}`);
    },
  );

  server.registerTool(
    "test_elicitation",
    { description: "Asks the user", inputSchema: elicitationInput },
    async ({ message }, context) => text(`User response: ${await ask(context, message, contactForm)}`),
  );

  server.registerTool(
    "test_elicitation_sep1034_defaults",
    { description: "Asks the user with a form that has defaults" },
    async (context) => text(`Elicitation completed: ${await ask(context, "Please check these values", defaultsForm)}`),
  );

  server.registerTool(
    "test_elicitation_sep1330_enums",
    { description: "Asks the user with a form of enumerations" },
    async (context) => text(`Elicitation completed: ${await ask(context, "Please choose", enumsForm)}`),
  );
}
