import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { expect } from "vitest";

/** Opens a session as an unmodified client without cookies, and gives the nodes that answered its calls, in order. */
async function oneSession(sdk: "v1" | "v2", mcp: string, calls: number): Promise<string[]> {
  const info = { name: `sdk-${sdk}`, version: "1.0.0" };
  const nodes: string[] = [];
  const url = new URL(mcp);
  if (sdk === "v1") {
    const client = new ClientV1(info);
    await client.connect(new TransportV1(url) as never);
    for (let number = 0; number < calls; number += 1) {
      const result = await client.callTool({ name: "where", arguments: {} });
      nodes.push((result.structuredContent as { node: string }).node);
    }
    await client.close();
  } else {
    const client = new ClientV2(info);
    await client.connect(new TransportV2(url));
    for (let number = 0; number < calls; number += 1) {
      const result = await client.callTool({ name: "where", arguments: {} });
      nodes.push((result.structuredContent as { node: string }).node);
    }
    await client.close();
  }
  return nodes;
}

/** Many sessions, some at once; for each the nodes that answered. A call that fails rejects. */
export async function sessionsOf(sdk: "v1" | "v2", mcp: string, sessions: number, calls: number): Promise<string[][]> {
  const all: string[][] = [];
  while (all.length < sessions) {
    const batch = Array.from({ length: Math.min(20, sessions - all.length) }, () => oneSession(sdk, mcp, calls));
    all.push(...(await Promise.all(batch)));
  }
  return all;
}

/** Each session's calls went to one node, and the sessions are on all nodes. */
export function expectPinnedAndSpread(nodesOfSessions: readonly (readonly string[])[], nodes: number): void {
  const counts = new Map<string, number>();
  for (const answered of nodesOfSessions) {
    expect(new Set(answered).size).toBe(1);
    counts.set(answered[0] as string, (counts.get(answered[0] as string) ?? 0) + 1);
  }
  expect(counts.size).toBe(nodes);
  // Round robin gives each node its share; half of that would be a fault.
  for (const count of counts.values()) expect(count).toBeGreaterThan(nodesOfSessions.length / nodes / 2);
}
