import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
} from "@modelcontextprotocol/node";
import type { EventStore, McpServer } from "@modelcontextprotocol/server";
import type { ServerDefinition } from "mooring";
import { SessionState } from "../../src/session/state.ts";
import { SessionTasks } from "../../src/session/tasks.ts";
import { listen } from "./listen.ts";

/** Events of one session, kept until the session's host is gone: enough for one run of the suite. */
function eventStore(): EventStore {
  const events: { id: string; stream: string; message: Parameters<EventStore["storeEvent"]>[1] }[] = [];
  return {
    async storeEvent(stream, message) {
      const id = `${stream}/${events.length}`;
      events.push({ id, stream, message });
      return id;
    },
    async replayEventsAfter(lastId, { send }) {
      const at = events.findIndex((event) => event.id === lastId);
      const stream = events[at]?.stream ?? "";
      for (const event of events.slice(at + 1)) {
        if (event.stream === stream && "jsonrpc" in event.message) await send(event.id, event.message);
      }
      return stream;
    },
  };
}

/**
 * Serves a server module by the SDK's own transport: shows what the suite says of the module itself, so that a failing
 * check on a node is the node's.
 */
export async function startSdkHost(
  definition: ServerDefinition,
  node = { name: "sdk", tag: "aaaaaa" },
): Promise<{ url: string; stop(): Promise<void> }> {
  const transports = new Map<string, NodeStreamableHTTPServerTransport>();
  const endings = new Set<() => Promise<void>>();
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();

  async function openSession(): Promise<NodeStreamableHTTPServerTransport> {
    const ended = new AbortController();
    const id = randomUUID();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      eventStore: eventStore(),
      retryInterval: 500,
      onsessioninitialized: (opened) => void transports.set(opened, transport),
      onsessionclosed: (closed) => void transports.delete(closed),
    });
    // What a session has besides its transport is Mooring's own.
    const state = new SessionState({ onTouched() {} });
    const tasks = new SessionTasks({ state, failed() {} });
    const server = await definition.create({
      session: {
        id,
        node,
        epoch: 1,
        principal: undefined,
        signal: ended.signal,
        state: (key, initial, options) => state.cell(key, initial, options),
        task: (name, run, options) => tasks.declare(name, run, options),
        pin() {},
      },
    });
    await (server as McpServer).connect(transport);
    tasks.begin(false);
    endings.add(() => tasks.end("closed"));
    return transport;
  }

  const server: Server = createServer((request, response) => {
    if (!hostIsLocal(request, response) || !originIsLocal(request, response)) return;
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? transports.get(id) : undefined;
    if (known === undefined && id !== undefined) {
      response.writeHead(404).end();
      return;
    }
    const transport = known === undefined ? openSession() : Promise.resolve(known);
    transport.then((found) => found.handleRequest(request, response)).catch(() => response.destroy());
  });
  const { url, stop } = await listen(server);
  return {
    url: `${url}/mcp`,
    async stop() {
      await Promise.all([...endings].map((end) => end()));
      await Promise.all([...transports.values()].map((transport) => transport.close()));
      await stop();
    },
  };
}
