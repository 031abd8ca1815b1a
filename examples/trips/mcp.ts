import { type CallToolResult, McpServer, ResourceNotFoundError, ResourceTemplate } from "@modelcontextprotocol/server";
import type { SessionContext } from "mooring";
import type { News } from "./changes.ts";
import type { TripStore } from "./store.ts";
import { tools } from "./tools.ts";
import { watching } from "./watching.ts";
import { sessionWorker, type WorkerStatus } from "./worker.ts";

const uriOf = (id: string) => `trips://${id}`;

/** The trip that a URI names, or undefined when it names none. */
function idIn(uri: string): string | undefined {
  return uri.startsWith("trips://") ? uri.slice("trips://".length) : undefined;
}

function answer(structuredContent: Record<string, unknown>): CallToolResult {
  return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
}

/** The MCP server of one session. */
export function mcpServer(session: SessionContext, store: TripStore): McpServer {
  const server = new McpServer(
    { name: "trips", version: "1.0.0" },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } } },
  );

  /** Sends on the session's standalone stream. */
  async function log(data: unknown): Promise<void> {
    await server.sendLoggingMessage({ level: "info", logger: "trips", data }, session.id);
  }

  async function tellNews(news: News): Promise<void> {
    await log(news);
    await server.server.sendResourceUpdated({ uri: uriOf(news.id) });
  }

  const watched = watching(session, store.changes, (news) => {
    // Fails only when the session ends at this moment: nobody is left to be told.
    tellNews(news).catch(() => {});
  });
  const worker = sessionWorker(session, (status) => log({ kind: "worker", ...status }));
  const workerAnswer = (status: WorkerStatus | undefined) => answer({ worker: status ?? null });

  async function mustExist(id: string): Promise<void> {
    if ((await store.get(id)) === undefined)
      throw new Error(`There is no trip ${id}: list_trips shows those that are.`);
  }

  server.registerTool("list_trips", tools.list_trips, async () => answer({ trips: await store.list() }));

  server.registerTool("watch_trip", tools.watch_trip, async ({ id }) => {
    await mustExist(id);
    watched.add(id);
    return answer({ watching: watched.ids });
  });

  server.registerTool("unwatch_trip", tools.unwatch_trip, async ({ id }) => {
    watched.remove(id);
    return answer({ watching: watched.ids });
  });

  server.registerTool("start_worker", tools.start_worker, async ({ tripId, steps, everyMs }) => {
    await mustExist(tripId);
    return workerAnswer(worker.start(tripId, steps, everyMs));
  });

  server.registerTool("worker_status", tools.worker_status, async () => workerAnswer(worker.status()));

  server.registerTool("cancel_worker", tools.cancel_worker, async () => workerAnswer(worker.cancel()));

  const tripTemplate = new ResourceTemplate("trips://{id}", {
    list: async () => ({
      resources: (await store.list()).map(({ id, from, to }) => ({ uri: uriOf(id), name: `${from} to ${to}` })),
    }),
  });
  const about = { description: "One trip, as JSON", mimeType: "application/json" };
  server.registerResource("trip", tripTemplate, about, async (uri) => {
    const trip = await store.get(idIn(uri.href) ?? "");
    if (trip === undefined) throw new ResourceNotFoundError(uri.href);
    return { contents: [{ uri: uri.href, mimeType: "application/json", text: JSON.stringify(trip) }] };
  });

  // To subscribe to trips://<id> is another way of saying watch_trip.
  server.server.setRequestHandler("resources/subscribe", async ({ params }) => {
    const id = idIn(params.uri);
    if (id === undefined || (await store.get(id)) === undefined) throw new ResourceNotFoundError(params.uri);
    watched.add(id);
    return {};
  });
  server.server.setRequestHandler("resources/unsubscribe", async ({ params }) => {
    const id = idIn(params.uri);
    if (id !== undefined) watched.remove(id);
    return {};
  });

  return server;
}
