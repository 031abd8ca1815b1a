import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect } from "vitest";

/** An unmodified client of the SDK, which keeps what it is told. */
export interface TestClient {
  readonly client: Client;
  readonly sessionId: string;
  /** The data of each log message, in order. */
  readonly logged: unknown[];
  /** The URI of each resources/updated, in order. */
  readonly updated: string[];
  /** Calls a tool that is expected to succeed; gives its structured content. */
  call(name: string, args?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Calls a tool that is expected to fail; gives the error's text. */
  callFailing(name: string, args?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

export async function connectClient(mcp: string, answerTo?: (question: string) => string): Promise<TestClient> {
  const capabilities = answerTo === undefined ? {} : { elicitation: {} };
  const client = new Client({ name: "examples-test", version: "1.0.0" }, { capabilities });
  const logged: unknown[] = [];
  const updated: string[] = [];
  client.setNotificationHandler("notifications/message", ({ params }) => void logged.push(params.data));
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
  if (answerTo !== undefined) {
    client.setRequestHandler("elicitation/create", async ({ params }) => ({
      action: "accept",
      content: { answer: answerTo(params.message) },
    }));
  }
  const transport = new StreamableHTTPClientTransport(new URL(mcp));
  await client.connect(transport);

  return {
    client,
    sessionId: transport.sessionId ?? "",
    logged,
    updated,
    async call(name, args = {}) {
      const result = await client.callTool({ name, arguments: args });
      expect(result.isError, JSON.stringify(result.content)).toBeFalsy();
      expect(result.structuredContent).toBeDefined();
      return result.structuredContent as Record<string, unknown>;
    },
    async callFailing(name, args = {}) {
      const result = await client.callTool({ name, arguments: args });
      expect(result.isError).toBe(true);
      const [first] = result.content;
      return first?.type === "text" ? first.text : "";
    },
    async close() {
      await transport.terminateSession();
      await client.close();
    },
  };
}
