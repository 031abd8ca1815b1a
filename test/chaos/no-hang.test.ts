import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster({ nodes: 3 });
});
afterEach(() => cluster?.stop());

interface Connected {
  readonly session: string;
  call(name: string, args: Record<string, unknown>): Promise<unknown>;
  close(): Promise<void>;
}

async function v2(mcp: string): Promise<Connected> {
  const client = new ClientV2({ name: "waiting", version: "2" });
  const transport = new TransportV2(new URL(mcp));
  await client.connect(transport);
  return {
    session: transport.sessionId ?? "",
    call: (name, args) => client.callTool({ name, arguments: args }),
    close: () => client.close(),
  };
}

async function v1(mcp: string): Promise<Connected> {
  const client = new ClientV1({ name: "waiting", version: "1" });
  const transport = new TransportV1(new URL(mcp));
  await client.connect(transport as Transport);
  return {
    session: transport.sessionId ?? "",
    call: (name, args) => client.callTool({ name, arguments: args }),
    close: () => client.close(),
  };
}

describe.each([
  ["v1", v1],
  ["v2", v2],
])("an unmodified TypeScript client (%s) whose node dies in the middle of a call", (_name, connect) => {
  test("gets an answer within five seconds, and goes on", { timeout: 60_000 }, async () => {
    const client = await connect(cluster.mcp);
    const tag = client.session.split(".")[0];
    const index = cluster.nodes.findIndex((node) => node.tag === tag);
    const answer = client.call("sleep", { ms: 3_000, steps: 3 });
    await cluster.waitFor(
      async () => {
        const listed = await fetch(`${cluster.nodes[index]?.admin}/api/sessions?scope=node`);
        return ((await listed.json()) as { sessions: { inFlight: number }[] }).sessions.some(
          ({ inFlight }) => inFlight > 0,
        );
      },
      { deadline: 5_000, what: "the call to be under way" },
    );
    // Well after the head of its answer has left.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const killedAt = performance.now();
    await cluster.kill(index);
    const result = await answer;
    const took = performance.now() - killedAt;
    console.log(`answer ${Math.round(took)} ms after the kill`);
    expect(took).toBeLessThan(5_000);
    // A read-only tool: it ran again where the session was adopted.
    expect(result).toMatchObject({
      structuredContent: { node: expect.not.stringContaining(cluster.nodes[index]?.name as string) },
    });
    expect(await client.call("count", {})).toMatchObject({ structuredContent: { value: 1 } });
    await client.close();
  });
});
