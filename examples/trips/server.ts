// A travel app: GraphQL for everybody, and an MCP session for each agent, on the same nodes. See README.md.
import { type AppContext, defineServer } from "mooring";
import { graphqlApp } from "./graphql.ts";
import { mcpServer } from "./mcp.ts";
import { memoryStore } from "./memory-store.ts";
import { redisStore } from "./redis-store.ts";
import type { TripStore } from "./store.ts";

/** The trips of each node of this process, by the node's tag: one, but for tests that run several. */
const stores = new Map<string, TripStore>();

async function openStore(context: AppContext): Promise<TripStore> {
  const { node, redis, signal } = context;
  const store = redis === undefined ? memoryStore(node.name) : await redisStore(redis, context);
  stores.set(node.tag, store);
  signal.addEventListener("abort", () => stores.delete(node.tag));
  return store;
}

export default defineServer(
  ({ session }) => {
    const store = stores.get(session.node.tag);
    if (store === undefined) throw new Error(`The trips app of node ${session.node.name} has not started.`);
    return mcpServer(session, store);
  },
  {
    app: async (context) => graphqlApp(await openStore(context), context),
  },
);
