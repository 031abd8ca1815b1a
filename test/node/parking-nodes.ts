import { McpServer } from "@modelcontextprotocol/server";
import { expect } from "vitest";
import { z } from "zod";
import { defineServer, type SessionContext } from "../../src/index.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { FailingRegistry } from "../registry/failing-registry.ts";
import { eventually } from "../support/eventually.ts";
import { Gate } from "../support/gate.ts";
import { RawClient, type RawClientOptions } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, type ServingOptions, serve } from "../support/serving.ts";

export const minute = 60_000;

/** Each session is looked at every 0.1 s. */
export const times = { parkAfter: 1_000, sessionIdle: 60 * minute };
/** No lease ends by the time that a test lets pass. */
const lease = 7 * 24 * 60 * minute;

/** A node that parks its idle sessions, with what a test looks at. */
export interface ParkingNode extends Serving {
  readonly log: RecordedLog;
  readonly registry: FailingRegistry;
}

/** Nodes in this process that park their sessions and share a registry in memory. Stop them in `afterEach`. */
export class ParkingNodes {
  readonly store = new MemoryStore();
  /** What a test sees of the sessions' servers, on all nodes together. */
  readonly contexts: SessionContext[] = [];
  readonly tasks: { readonly restored: boolean; readonly signal: AbortSignal }[] = [];
  /** The nodes' clock, which only the test moves, so that no session is idle before its time on a busy machine. */
  now = Date.now();
  /** Lets the restoring of sessions wait. */
  readonly gate = new Gate();
  readonly #clock = { now: () => this.now };
  readonly #serving = new Set<Serving>();

  async start(name = "node-1", options: ServingOptions = {}): Promise<ParkingNode> {
    const registry = new FailingRegistry({ store: this.store });
    const log = new RecordedLog();
    const serving = await this.#serve({ name, registry, log, renew: 100, lease, ...options });
    return { ...serving, registry, log };
  }

  /** A node whose registry is in its own memory. */
  async startAlone(): Promise<Serving> {
    return await this.#serve({ log: new RecordedLog() });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#serving].map((serving) => serving.stop()));
  }

  pass(ms: number): void {
    this.now += ms;
  }

  epochOf(client: RawClient): number | undefined {
    return this.store.find(client.session, Date.now())?.epoch;
  }

  /** The sessions are idle for long enough, and leave memory. */
  async park({ node, log }: ParkingNode, ...clients: RawClient[]): Promise<void> {
    this.pass(times.parkAfter);
    await eventually(() => {
      for (const { session } of clients) {
        expect(log.of("session-parked").map((fields) => fields.session)).toContain(session);
        expect(node.sessions().map(({ id }) => id)).not.toContain(session);
      }
    });
  }

  async #serve(options: ServingOptions): Promise<Serving> {
    const started = await serve(this.#server(), { clock: this.#clock, ...times, ...options });
    const serving: Serving = {
      ...started,
      stop: async (how) => {
        this.#serving.delete(serving);
        await started.stop(how);
      },
    };
    this.#serving.add(serving);
    return serving;
  }

  #server() {
    return defineServer(
      async ({ session }) => {
        await this.gate.passed();
        this.contexts.push(session);
        const mcp = new McpServer({ name: "parking", version: "1" }, { capabilities: { logging: {} } });
        const count = session.state("count", 0);
        session.task("auto", async (task) => {
          this.tasks.push(task);
          await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
        });
        const own = session.task(
          "own",
          ({ signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
          { auto: false },
        );
        const say = (text: string) => ({ content: [{ type: "text" as const, text }] });
        mcp.registerTool("count", {}, async () => {
          count.value += 1;
          return say(String(count.value));
        });
        mcp.registerTool("announce", { inputSchema: z.object({ n: z.number() }) }, async ({ n }) => {
          await mcp.server.notification({ method: "notifications/message", params: { level: "info", data: { n } } });
          return say("announced");
        });
        mcp.registerTool("own", { inputSchema: z.object({ on: z.boolean() }) }, async ({ on }) => {
          if (on) own.start();
          else own.stop();
          return say("done");
        });
        mcp.registerTool("pin", {}, async () => {
          session.pin("holds a child process");
          return say("pinned");
        });
        return mcp;
      },
      {
        authenticate: ({ headers }) => ({ issuer: "test", subject: String(headers["x-user"] ?? "anybody") }),
      },
    );
  }
}

export const begin = ({ url }: Serving, options?: RawClientOptions) => RawClient.begin(url, options);

export const textOf = async (client: RawClient, name: string, args = {}) =>
  ((await client.call(name, args))?.result?.content as { text: string }[] | undefined)?.[0]?.text;

/** For some rounds of the walk: long enough for what must not happen. */
export const rounds = () => new Promise((resolve) => setTimeout(resolve, 400));
