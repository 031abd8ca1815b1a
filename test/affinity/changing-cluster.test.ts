import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tagOf } from "../../src/model/tag.ts";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { MooringProcess } from "../cluster/mooring-process.ts";
import { initialize } from "../support/raw-mcp.ts";

const size = 100;
const everyMs = 250;

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster({ nodes: 3, server: "yardstick" });
});
afterEach(() => cluster?.stop());

/** A session at work: numbered notifications on its open stream, and one call after another. */
class Worker {
  readonly client = new Client({ name: "worker", version: "1.0.0" });
  readonly heard: number[] = [];
  readonly failures: string[] = [];
  calls = 0;
  session = "";
  #working = true;
  #loop: Promise<void> = Promise.resolve();

  async start(mcp: string): Promise<void> {
    const transport = new StreamableHTTPClientTransport(new URL(mcp));
    this.client.setNotificationHandler("notifications/message", ({ params }) => {
      this.heard.push((params.data as { n: number }).n);
    });
    await this.client.connect(transport);
    this.session = transport.sessionId ?? "";
    await this.client.callTool({ name: "announce", arguments: { count: 10_000, everyMs } });
    this.#loop = this.#work();
  }

  async stop(): Promise<void> {
    this.#working = false;
    await this.#loop;
    await this.client.close();
  }

  async #work(): Promise<void> {
    while (this.#working) {
      try {
        await this.client.callTool({ name: "echo", arguments: { text: String(this.calls) } });
        this.calls += 1;
      } catch (error) {
        this.failures.push(String(error));
      }
      // As a person's client would: not as fast as it can, for all of them share two cores.
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }
}

test("adding, draining and removing a node fails no call of other nodes' sessions, and leaves no gap in a stream", {
  timeout: 120_000,
}, async () => {
  const workers = Array.from({ length: size }, () => new Worker());
  for (const worker of workers) await worker.start(cluster.mcp);
  const tag = tagOf("node-4");
  const newcomers = async () =>
    (await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => initialize(cluster.mcp)))).filter((id) =>
      id.startsWith(`${tag}.`),
    );

  const args = ["serve", "yardstick", "--name", "node-4", "--port", "0", "--json"];
  const added = new MooringProcess(args, { MOORING_REDIS: cluster.redis.url });
  try {
    await cluster.waitFor(async () => (await newcomers()).length > 0, { deadline: 20_000, what: "node-4 in the pool" });
    const drained = await cluster.mooring("drain", "node-4", "--url", cluster.nodes[0]?.admin as string);
    expect(drained.code, drained.stderr).toBe(0);
    await cluster.waitFor(async () => (await newcomers()).length === 0, {
      deadline: 10_000,
      what: "node-4 out of the pool",
    });
    expect(
      (await cluster.mooring("drain", "node-4", "--cancel", "--url", cluster.nodes[0]?.admin as string)).code,
    ).toBe(0);
    await cluster.waitFor(async () => (await newcomers()).length > 0, {
      deadline: 10_000,
      what: "node-4 in the pool again",
    });
    added.signal("SIGTERM");
    await added.exit(20_000);
    await cluster.waitFor(async () => (await newcomers()).length === 0, { deadline: 10_000, what: "node-4 gone" });
  } finally {
    if (added.running) added.signal("SIGKILL");
  }
  // And on, for long enough that each session has been called and heard of since.
  const [calls, heard] = [workers.map((worker) => worker.calls), workers.map((worker) => worker.heard.length)];
  await cluster.waitFor(
    () =>
      workers.every((worker, index) => worker.calls > (calls[index] ?? 0) && worker.heard.length > (heard[index] ?? 0)),
    { deadline: 20_000, what: "every session to go on" },
  );
  await Promise.all(workers.map((worker) => worker.stop()));
  expect(workers.flatMap(({ failures }) => failures)).toEqual([]);
  for (const worker of workers) {
    expect(worker.heard).toEqual(Array.from({ length: worker.heard.length }, (_, index) => index + 1));
  }
  // The ready line's nodes only: none of these sessions lived on node-4.
  expect(workers.filter(({ session }) => session.startsWith(`${tag}.`))).toEqual([]);
});
