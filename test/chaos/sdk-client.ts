import { setTimeout as sleep } from "node:timers/promises";
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

export type Sdk = "v1" | "v2";

interface ToolResult {
  readonly structuredContent?: unknown;
  readonly isError?: unknown;
}

/** What both SDKs' clients are asked for. */
interface Connected {
  readonly session: string;
  call(name: string, args: Record<string, unknown>): Promise<ToolResult>;
  tools(): Promise<readonly string[]>;
  close(): Promise<void>;
}

interface Heard {
  number(n: number): void;
  toolsChanged(): void;
}

/**
 * An unmodified client of a TypeScript SDK at work: it counts, one call after another, and its own stream goes on by
 * itself, or does not.
 */
export class SdkClient {
  readonly sdk: Sdk;
  /** The numbers of the yardstick's announcements, in the order in which they came. */
  readonly numbers: number[] = [];
  /** What its calls of `count` gave. */
  readonly counted: number[] = [];
  readonly failures: string[] = [];
  /** How often it was told that the tools have changed. */
  toolsChanged = 0;
  #connected!: Connected;
  #working = true;
  #loop: Promise<void> = Promise.resolve();

  private constructor(sdk: Sdk) {
    this.sdk = sdk;
  }

  /** Lists the tools, has numbers announced at that pace, and begins to count. */
  static async start(sdk: Sdk, mcp: string, everyMs: number, pauseMs: number): Promise<SdkClient> {
    const client = new SdkClient(sdk);
    const connect = sdk === "v1" ? connectV1 : connectV2;
    client.#connected = await connect(new URL(mcp), {
      number: (n) => void client.numbers.push(n),
      toolsChanged: () => {
        client.toolsChanged += 1;
      },
    });
    await client.tools();
    await client.call("announce", { count: 1_000_000, everyMs });
    client.#loop = client.#work(pauseMs);
    return client;
  }

  get session(): string {
    return this.#connected.session;
  }

  async tools(): Promise<readonly string[]> {
    return await this.#connected.tools();
  }

  async call(name: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const { structuredContent, isError } = await this.#connected.call(name, args);
    if (isError === true || structuredContent === undefined) throw new Error(`${name} gave no result`);
    return structuredContent as Record<string, unknown>;
  }

  /** Ends its calls; its stream stays. */
  async stop(): Promise<void> {
    this.#working = false;
    await this.#loop;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#connected.close();
  }

  async #work(pauseMs: number): Promise<void> {
    while (this.#working) {
      try {
        this.counted.push((await this.call("count")).value as number);
      } catch (error) {
        this.failures.push(`${this.sdk} ${this.session}: ${String(error)}`);
      }
      await sleep(pauseMs);
    }
  }
}

async function connectV1(url: URL, heard: Heard): Promise<Connected> {
  const client = new ClientV1({ name: "at-work", version: "1" });
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => heard.number(numberOf(params.data)));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => heard.toolsChanged());
  const transport = new TransportV1(url);
  await client.connect(transport as Transport);
  return {
    session: transport.sessionId ?? "",
    call: async (name, args) => (await client.callTool({ name, arguments: args })) as ToolResult,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    close: () => client.close(),
  };
}

async function connectV2(url: URL, heard: Heard): Promise<Connected> {
  const client = new ClientV2({ name: "at-work", version: "2" });
  client.setNotificationHandler("notifications/message", ({ params }) => heard.number(numberOf(params.data)));
  client.setNotificationHandler("notifications/tools/list_changed", () => heard.toolsChanged());
  const transport = new TransportV2(url);
  await client.connect(transport);
  return {
    session: transport.sessionId ?? "",
    call: (name, args) => client.callTool({ name, arguments: args }),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    close: () => client.close(),
  };
}

function numberOf(data: unknown): number {
  return (data as { readonly n: number }).n;
}
