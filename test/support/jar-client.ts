import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { CookieAgent } from "http-cookie-agent/undici";
import { CookieJar } from "tough-cookie";
import { fetch } from "undici";

/** An SDK client whose fetch keeps cookies, as a browser would. */
export interface JarClient {
  readonly client: Client;
  readonly jar: CookieJar;
  readonly sessionId: string;
  /** The node that answers a call now. */
  where(): Promise<string>;
  /** Leaves without ending the session. */
  leave(): Promise<void>;
}

/** The SDK's transport over a fetch that keeps cookies. `ca`: the file of the certificate that signs the cluster's. */
export function jarTransport(
  mcp: string,
  ca: string,
  jar = new CookieJar(),
): { transport: StreamableHTTPClientTransport; jar: CookieJar; close(): Promise<void> } {
  const agent = new CookieAgent({ cookies: { jar: jar as never }, connect: { ca: readFileSync(ca) } });
  const withCookies = (input: string | URL, init?: RequestInit) =>
    fetch(input, { ...(init as object), dispatcher: agent }) as unknown as Promise<Response>;
  const transport = new StreamableHTTPClientTransport(new URL(mcp), { fetch: withCookies });
  return { transport, jar, close: () => agent.destroy() };
}

/** Begins a session; `from`: with the cookies of a former one. */
export async function connectWithJar(mcp: string, ca: string, from?: CookieJar): Promise<JarClient> {
  const { transport, jar, close } = jarTransport(mcp, ca, from);
  const client = new Client({ name: "jar", version: "1.0.0" });
  await client.connect(transport);
  return {
    client,
    jar,
    sessionId: transport.sessionId ?? "",
    where: async () =>
      ((await client.callTool({ name: "where", arguments: {} })).structuredContent as { node: string }).node,
    leave: async () => {
      await client.close();
      await close();
    },
  };
}
