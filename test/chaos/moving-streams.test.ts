import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { type RawAnswer, RawClient } from "../support/raw-client.ts";
import { SdkClient } from "./sdk-client.ts";

let cluster: Cluster;
let folder: string;
let edge: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-chaos-"));
  cluster = await startCluster({
    nodes: 3,
    args: ["--drain-deadline", "2s"],
    env: { YARDSTICK_LOG: join(folder, "lines") },
  });
  edge = new URL(cluster.mcp).origin;
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  for (const index of cluster.nodes.keys()) await cluster.undrain(index);
});

/** A session whose home is that node, and whose client comes by the edge. */
async function beginAt(index: number, capabilities: object = {}): Promise<RawClient> {
  return (await RawClient.begin(cluster.nodes[index]?.url as string, { capabilities })).at(edge);
}

/** Which node serves it now: its place among them. */
async function nodeOf(client: RawClient): Promise<number> {
  const answer = (await client.call("where"))?.result?.structuredContent as { node: string } | undefined;
  return cluster.nodes.findIndex(({ name }) => name === answer?.node);
}

/** The steps that progress notifications told of, and then the node that gave the result. */
function told(...answers: RawAnswer[]): unknown[] {
  return answers
    .flatMap(({ messages }) => messages)
    .map(({ params, result }) => params?.progress ?? (result?.structuredContent as { node: string } | undefined)?.node);
}

const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

describe("the answer to a call goes on from Last-Event-ID", () => {
  test("while the node that drains still finishes it, and from the next owners, as often as its client asks", async () => {
    const client = await beginAt(0);
    const first = await client.startCall("sleep", { ms: 1_200, steps: 12 });
    await first.received(3);
    const drained = cluster.drain(0);
    first.cut();
    const rest = await client.listen(first.lastEventId);
    await rest.received(1);
    expect((await client.call("count"))?.result?.structuredContent).toMatchObject({ value: 1 });
    await rest.ended();
    expect(told(first, rest)).toEqual([...upTo(12), "node-1"]);
    await drained;

    const fifth = first.events.concat(rest.events).filter(({ data }) => data)[4]?.id;
    const next = await nodeOf(client);
    expect(next).not.toBe(0);
    expect(told(await (await client.listen(fifth)).ended())).toEqual([...upTo(12, 6), "node-1"]);
    await cluster.drain(next);
    expect([0, next]).not.toContain(await nodeOf(client));
    for (let again = 0; again < 2; again += 1) {
      expect(told(await (await client.listen(fifth)).ended())).toEqual([...upTo(12, 6), "node-1"]);
    }
    expect((await client.call("count"))?.result?.structuredContent).toMatchObject({ value: 2 });
  });

  test("where it outlasts the drain: an unmodified client gets an answer, because the tool may run again", {
    timeout: 60_000,
  }, async () => {
    const mcp = `${cluster.nodes[1]?.url}/mcp`;
    const clients = await Promise.all((["v1", "v2"] as const).map((sdk) => SdkClient.start(sdk, mcp, 1_000, 200)));
    const answers = clients.map((client) => client.call("sleep", { ms: 2_500, steps: 5 }));
    await cluster.drain(1);
    for (const answer of answers) expect((await answer).node).not.toBe("node-2");
    for (const client of clients) {
      await client.close();
      expect(client.failures).toEqual([]);
    }
  });
});

describe("while a session moves", () => {
  test("a call that was sent again after it does not run twice", async () => {
    const client = await beginAt(0);
    const answer = await client.startCall("append", { line: "once" }, "append");
    expect(answer.end).toBe("open");
    answer.cut();
    await cluster.drain(0);
    expect(await nodeOf(client)).not.toBe(0);
    const again = await client.call("append", { line: "once" }, "append");
    expect(again).toMatchObject({ result: { isError: true, content: [{ text: expect.stringContaining("may") }] } });
    expect(await readFile(join(folder, "lines"), "utf8")).toBe("once\n");
  });

  test("a question that a call asked is answered where it was asked", async () => {
    const client = await beginAt(2, { elicitation: {} });
    const call = await client.startCall("ask", { question: "Where to?" });
    const [question] = await call.received(1);
    const drained = cluster.drain(2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const result = { action: "accept", content: { answer: "Elba" } };
    expect((await client.post({ jsonrpc: "2.0", id: question?.id, result })).status).toBe(202);
    expect((await call.ended()).messages.at(-1)?.result).toMatchObject({ structuredContent: { answer: "Elba" } });
    await drained;
    expect(await nodeOf(client)).not.toBe(2);
  });
});
