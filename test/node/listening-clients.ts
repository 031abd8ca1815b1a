import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

/** An unmodified client that keeps the list of tools up to date by what its server tells it. */
export interface ListeningClient {
  /** The tools that it knows. */
  readonly tools: readonly string[];
  call(name: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Its requests go where the balancer of a test sends them. */
export type Route = () => string;

const info = { name: "listening", version: "1" };

function routed(route: Route): typeof fetch {
  return (input, init) => {
    const url = new URL(String(input));
    return fetch(`${route()}${url.pathname}`, init);
  };
}

/** What both SDKs are told to do when they hear that the tools have changed. */
function following(tools: string[]) {
  return {
    tools: {
      debounceMs: 0,
      onChanged: (error: Error | null, items: readonly { readonly name: string }[] | null) => {
        if (error === null) tools.splice(0, tools.length, ...(items ?? []).map(({ name }) => name));
      },
    },
  };
}

async function listening(client: ClientV1 | ClientV2, tools: string[]): Promise<ListeningClient> {
  tools.push(...(await client.listTools()).tools.map(({ name }) => name));
  return {
    tools,
    call: async (name) => (await client.callTool({ name, arguments: {} })).structuredContent,
    close: () => client.close(),
  };
}

async function clientV1(route: Route): Promise<ListeningClient> {
  const tools: string[] = [];
  const client = new ClientV1(info, { listChanged: following(tools) });
  await client.connect(new TransportV1(new URL(`${route()}/mcp`), { fetch: routed(route) }));
  return await listening(client, tools);
}

async function clientV2(route: Route): Promise<ListeningClient> {
  const tools: string[] = [];
  const client = new ClientV2(info, { listChanged: following(tools) });
  await client.connect(new TransportV2(new URL(`${route()}/mcp`), { fetch: routed(route) }));
  return await listening(client, tools);
}

export const listeningClients = { v1: clientV1, v2: clientV2 };
