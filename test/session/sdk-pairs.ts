import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  CreateMessageRequestSchema,
  CreateMessageResultSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  RootsListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { defineServer, type ServerDefinition } from "mooring";
import { z } from "zod";

/** What a server of either SDK does in these tests. */
export interface TalkingServer {
  readonly definition: ServerDefinition;
  /** Clients' notifications that arrived. */
  readonly heard: string[];
  /** Ends the wait of the tool `wait`. */
  release(): void;
  /** Whether a call of `wait` was given up. */
  readonly givenUp: () => boolean;
}

/** What a client of either SDK does in these tests. */
export interface TalkingClient {
  /** Calls a tool; gives its text. */
  call(name: string, signal?: AbortSignal): Promise<string>;
  /** Data of the log messages that arrived. */
  readonly heard: unknown[];
  rootsChanged(): Promise<void>;
  close(): Promise<void>;
}

const schema = { type: "object" as const, properties: { name: { type: "string" as const } } };
const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });
const prompt = { messages: [{ role: "user" as const, content: { type: "text" as const, text: "hi" } }], maxTokens: 9 };

/** The wait of one server's tool `wait`, which tests end. */
function waiting() {
  let release = () => {};
  let givenUp = false;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    release: () => release(),
    givenUp: () => givenUp,
    until: async (signal: AbortSignal) => {
      signal.addEventListener("abort", () => {
        givenUp = true;
      });
      await released;
      return text("released");
    },
  };
}

const options = { capabilities: { logging: {} } };

export function serverV1(): TalkingServer {
  const heard: string[] = [];
  const wait = waiting();
  const definition = defineServer(({ session }) => {
    const mcp = new ServerV1({ name: "v1", version: "1" }, options);
    mcp.server.setNotificationHandler(RootsListChangedNotificationSchema, () => void heard.push("roots"));
    mcp.registerTool("wait", { inputSchema: {} }, (_args, { signal }) => wait.until(signal));
    mcp.registerTool("sample", { inputSchema: {} }, async (_args, { sendRequest }) => {
      const reply = await sendRequest({ method: "sampling/createMessage", params: prompt }, CreateMessageResultSchema);
      return text(JSON.stringify(reply.content));
    });
    mcp.registerTool("ask", { inputSchema: {} }, async () => {
      const reply = await mcp.server.elicitInput({ message: "name?", requestedSchema: schema });
      return text(String(reply.content?.name));
    });
    mcp.registerTool("say", { inputSchema: { what: z.string().optional() } }, async () => {
      await mcp.sendLoggingMessage({ level: "info", data: "said" }, session.id);
      return text("");
    });
    return mcp;
  });
  return { definition, heard, release: wait.release, givenUp: wait.givenUp };
}

export function serverV2(): TalkingServer {
  const heard: string[] = [];
  const wait = waiting();
  const definition = defineServer(({ session }) => {
    const mcp = new ServerV2({ name: "v2", version: "1" }, options);
    mcp.server.setNotificationHandler("notifications/roots/list_changed", () => void heard.push("roots"));
    const inputSchema = z.object({});
    mcp.registerTool("wait", { inputSchema }, (_args, { mcpReq }) => wait.until(mcpReq.signal));
    mcp.registerTool("sample", { inputSchema }, async (_args, { mcpReq }) => {
      const reply = await mcpReq.send({ method: "sampling/createMessage", params: prompt });
      return text(JSON.stringify(reply.content));
    });
    mcp.registerTool("ask", { inputSchema }, async () => {
      const reply = await mcp.server.elicitInput({ mode: "form", message: "name?", requestedSchema: schema });
      return text(String(reply.content?.name));
    });
    mcp.registerTool("say", { inputSchema }, async () => {
      await mcp.sendLoggingMessage({ level: "info", data: "said" }, session.id);
      return text("");
    });
    return mcp;
  });
  return { definition, heard, release: wait.release, givenUp: wait.givenUp };
}

const capabilities = { elicitation: {}, sampling: {}, roots: { listChanged: true } };
const sampled = { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "hello" } };

function firstText(content: unknown): string {
  const [first] = content as { text?: string }[];
  return first?.text ?? "";
}

export async function clientV1(mcp: string): Promise<TalkingClient> {
  const client = new ClientV1({ name: "v1", version: "1" }, { capabilities });
  const heard: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.push(params.data));
  client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "accept", content: { name: "Ada" } }));
  client.setRequestHandler(CreateMessageRequestSchema, async () => sampled);
  const transport = new TransportV1(new URL(mcp));
  await client.connect(transport);
  return {
    heard,
    call: async (name, signal) => {
      const result = await client.callTool({ name, arguments: {} }, undefined, { ...(signal && { signal }) });
      return firstText(result.content);
    },
    rootsChanged: () => client.sendRootsListChanged(),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

export async function clientV2(mcp: string): Promise<TalkingClient> {
  const client = new ClientV2({ name: "v2", version: "1" }, { capabilities });
  const heard: unknown[] = [];
  client.setNotificationHandler("notifications/message", ({ params }) => void heard.push(params.data));
  client.setRequestHandler("elicitation/create", async () => ({ action: "accept", content: { name: "Ada" } }));
  client.setRequestHandler("sampling/createMessage", async () => sampled);
  const transport = new TransportV2(new URL(mcp));
  await client.connect(transport);
  return {
    heard,
    call: async (name, signal) => {
      const result = await client.callTool({ name, arguments: {} }, { ...(signal && { signal }) });
      return firstText(result.content);
    },
    rootsChanged: () => client.sendRootsListChanged(),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}
