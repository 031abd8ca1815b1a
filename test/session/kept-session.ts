import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { StoredSession } from "../../src/ports/registry.ts";
import { defineServer, type ServerDefinition } from "../../src/session/define-server.ts";
import { HoldBack } from "../../src/session/hold-back.ts";
import type { JsonRpcMessage, RequestId } from "../../src/session/json-rpc.ts";
import { KeepAlive } from "../../src/session/keep-alive.ts";
import { RetainedEvents } from "../../src/session/retained-events.ts";
import { Session, type SessionHost } from "../../src/session/session.ts";
import type { SessionContext } from "../../src/session/session-context.ts";
import type { McpServerLike } from "../../src/session/transport-types.ts";
import { eventually } from "../support/eventually.ts";
import { FakeSink } from "./fake-sink.ts";
import { FakeStore } from "./fake-store.ts";

const text = (value: string, isError = false) => ({ content: [{ type: "text" as const, text: value }], isError });

/** What the servers of one session did, on all its nodes together. */
export class Stage {
  readonly runs: string[] = [];
  readonly heard: string[] = [];
  readonly contexts: SessionContext[] = [];
  readonly announce: ((n: number) => Promise<void>)[] = [];
  readonly answers: string[] = [];
  /** Ends the oldest call that waits. */
  readonly waiting: (() => void)[] = [];
  /** Notifications of the oldest call that waits. */
  progress: ((n: number) => Promise<void>) | undefined;

  /** What every tool does, whichever SDK carries it. */
  tools(session: SessionContext) {
    const count = session.state("count", 0);
    const list = session.state<unknown[]>("list", []);
    return {
      echo: { hints: { readOnlyHint: true }, run: () => text("echo") },
      count: {
        hints: {},
        run: () => {
          count.value += 1;
          return text(String(count.value));
        },
      },
      push: {
        hints: {},
        run: () => {
          list.value.push(list.value.length);
          return text(String(list.value.length));
        },
      },
      spoil: {
        hints: {},
        run: () => {
          count.value += 1;
          list.value.push(1n);
          return text("spoilt");
        },
      },
      look: { hints: { readOnlyHint: true }, run: () => this.#wait("look") },
      change: { hints: {}, run: () => this.#wait("change") },
    };
  }

  async #wait(name: string) {
    this.runs.push(name);
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    return text(`${name} is done`);
  }

  async end(): Promise<void> {
    const end = await eventually(() => {
      const oldest = this.waiting.shift();
      if (oldest === undefined) throw new Error("No call waits");
      return oldest;
    });
    end();
  }
}

const capabilities = { logging: {}, resources: { subscribe: true } };
const noInput = z.object({});

function serverV2(stage: Stage, session: SessionContext): McpServerLike {
  const mcp = new ServerV2({ name: "v2", version: "1" }, { capabilities });
  for (const [name, { hints, run }] of Object.entries(stage.tools(session))) {
    mcp.registerTool(name, { inputSchema: noInput, annotations: hints }, (_args, { mcpReq }) => {
      stage.progress = (progress) =>
        mcpReq.notify({ method: "notifications/progress", params: { progressToken: "p", progress } });
      return run();
    });
  }
  mcp.registerTool("ask", { inputSchema: noInput }, async (_args, { mcpReq }) => {
    const reply = await mcpReq.send({
      method: "sampling/createMessage",
      params: { messages: [], maxTokens: 1 },
    });
    stage.answers.push(JSON.stringify(reply.content));
    return text("asked");
  });
  mcp.server.setRequestHandler("logging/setLevel", ({ params }) => {
    stage.heard.push(`level ${params.level}`);
    return {};
  });
  mcp.server.setRequestHandler("resources/subscribe", ({ params }) => {
    stage.heard.push(`subscribe ${params.uri}`);
    return {};
  });
  mcp.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    stage.heard.push(`unsubscribe ${params.uri}`);
    return {};
  });
  mcp.server.oninitialized = () => void stage.heard.push(`initialized by ${mcp.server.getClientVersion()?.name}`);
  stage.announce.push((n) =>
    mcp.server.notification({ method: "notifications/message", params: { level: "info", data: { n } } }),
  );
  return mcp;
}

function serverV1(stage: Stage, session: SessionContext): McpServerLike {
  const mcp = new ServerV1({ name: "v1", version: "1" }, { capabilities });
  for (const [name, { hints, run }] of Object.entries(stage.tools(session))) {
    mcp.registerTool(name, { inputSchema: {}, annotations: hints }, (_args, { sendNotification }) => {
      stage.progress = (progress) =>
        sendNotification({ method: "notifications/progress", params: { progressToken: "p", progress } });
      return run();
    });
  }
  mcp.registerTool("ask", { inputSchema: {} }, async () => {
    const reply = await mcp.server.createMessage({ messages: [], maxTokens: 1 });
    stage.answers.push(JSON.stringify(reply.content));
    return text("asked");
  });
  mcp.server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    stage.heard.push(`level ${params.level}`);
    return {};
  });
  mcp.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    stage.heard.push(`subscribe ${params.uri}`);
    return {};
  });
  mcp.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    stage.heard.push(`unsubscribe ${params.uri}`);
    return {};
  });
  mcp.server.oninitialized = () => void stage.heard.push(`initialized by ${mcp.server.getClientVersion()?.name}`);
  stage.announce.push((n) =>
    mcp.server.notification({ method: "notifications/message", params: { level: "info", data: { n } } }),
  );
  return mcp;
}

const makers = { v1: serverV1, v2: serverV2 };
export type Sdk = keyof typeof makers;

export const initialize: JsonRpcMessage = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: { sampling: {} },
    clientInfo: { name: "raw", version: "1" },
  },
};

const origin = { method: "POST", url: "/mcp", headers: { host: "localhost" } };

/** One session that outlives its node, without any network: its client is a test, its registry a {@link FakeStore}. */
export class KeptSession {
  readonly session: Session;
  readonly store: FakeStore;
  readonly stage: Stage;
  readonly host: SessionHost;
  readonly errors: Error[];
  #nextId = 1;

  private constructor(session: Session, store: FakeStore, stage: Stage, host: SessionHost, errors: Error[]) {
    this.session = session;
    this.store = store;
    this.stage = stage;
    this.host = host;
    this.errors = errors;
  }

  static async open(sdk: Sdk, more: Partial<SessionHost> = {}): Promise<KeptSession> {
    const stage = new Stage();
    const text = JSON.stringify(initialize);
    const store = FakeStore.new(text);
    const { host, errors } = hostFor(sdk, stage, more);
    const { id, epoch } = store.record;
    const session = await Session.open(host, { id, epoch, client: "raw/1", initialize: text, store });
    const kept = new KeptSession(session, store, stage, host, errors);
    await kept.ended(kept.post(initialize));
    kept.post({ jsonrpc: "2.0", method: "notifications/initialized" });
    return kept;
  }

  /** The session as the next owner gets it that takes over from what was kept at some time. */
  static async restore(
    sdk: Sdk,
    stored: StoredSession,
    stage: Stage,
    more: Partial<SessionHost> = {},
  ): Promise<KeptSession> {
    const handedOver = FakeStore.handedOver(stored);
    const store = new FakeStore(handedOver);
    const { host, errors } = hostFor(sdk, stage, more);
    return new KeptSession(await Session.restore(host, handedOver, { store }), store, stage, host, errors);
  }

  post(message: JsonRpcMessage, sink = new FakeSink()): FakeSink {
    const body = JSON.stringify(message);
    this.session.transport.accept([JSON.parse(body) as JsonRpcMessage], sink, origin, body);
    return sink;
  }

  request(
    method: string,
    params: JsonRpcMessage["params"] = {},
    id: RequestId = this.#nextId++,
    sink = new FakeSink(),
  ): FakeSink {
    return this.post({ jsonrpc: "2.0", id, method, params }, sink);
  }

  call(name: string, id?: RequestId, sink?: FakeSink): FakeSink {
    return this.request("tools/call", { name, arguments: {} }, id, sink);
  }

  listen(lastEventId?: string): FakeSink {
    const sink = new FakeSink();
    if (lastEventId === undefined) this.session.transport.listen(sink);
    else this.session.transport.resume(sink, lastEventId, origin);
    return sink;
  }

  async ended(sink: FakeSink): Promise<FakeSink> {
    return await eventually(() => {
      if (!sink.ended) throw new Error(`The answer has not ended: ${sink.text}`);
      return sink;
    });
  }

  /** Calls a tool, and gives the text of its result. */
  async callText(name: string, id?: RequestId): Promise<string | undefined> {
    return textOf(await this.ended(this.call(name, id)));
  }

  /** The node dies: nothing of it is heard any more. */
  async crash(): Promise<void> {
    this.store.isOwner = false;
    await this.session.close("owner-lost");
    this.host.holdBack.stop();
    this.host.keepAlive.stop();
  }

  async close(): Promise<void> {
    await this.session.close("closed");
    this.host.holdBack.stop();
    this.host.keepAlive.stop();
  }
}

function hostFor(sdk: Sdk, stage: Stage, more: Partial<SessionHost>): { host: SessionHost; errors: Error[] } {
  const errors: Error[] = [];
  const definition: ServerDefinition = defineServer(({ session }) => {
    stage.contexts.push(session);
    return makers[sdk](stage, session);
  });
  const host: SessionHost = {
    node: { name: "node-1", tag: "k3f9q2" },
    definition,
    retained: new RetainedEvents(),
    keepAlive: new KeepAlive(),
    holdBack: new HoldBack(),
    holdMs: 10_000,
    answerAsJson: false,
    now: () => Date.now(),
    overflowed() {},
    serverFailed: (_session, error) => errors.push(error),
    taskFailed: (_session, _task, error) => errors.push(error),
    ...more,
  };
  return { host, errors };
}

/** The messages that a sink has got. */
export function messagesOf(sink: FakeSink): JsonRpcMessage[] {
  const data = sink.text.split("\n\n").flatMap((block) => block.match(/^data: (.+)$/m)?.[1] ?? []);
  return data.map((json) => JSON.parse(json) as JsonRpcMessage);
}

/** The ids of the events that a sink has got. */
export function idsOf(sink: FakeSink): string[] {
  return [...sink.text.matchAll(/^id: (.+)$/gm)].map(([, id]) => id as string);
}

export function lastIdOf(sink: FakeSink): string {
  const id = idsOf(sink).at(-1);
  if (id === undefined) throw new Error(`No event has an id: ${sink.text}`);
  return id;
}

/** The text of the last result. */
export function textOf(sink: FakeSink): string | undefined {
  const content = messagesOf(sink).at(-1)?.result?.content as { text: string }[] | undefined;
  return content?.[0]?.text;
}
