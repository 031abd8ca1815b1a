import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createNode, type MooringNode, type NodeOptions } from "mooring";

/** One node in this process, on a free port of loopback. */
export interface Serving {
  readonly node: MooringNode;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly mcp: string;
  stop(how?: { readonly handOver?: boolean }): Promise<void>;
}

/** What a node is given besides its server. Its url may be another than where it listens: the one of a proxy, say. */
export type ServingOptions = Omit<Partial<NodeOptions>, "server">;

export async function serve(server: NodeOptions["server"], options: ServingOptions = {}): Promise<Serving> {
  const http = createServer();
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const stopListening = async () => {
    http.closeAllConnections();
    http.close();
    await once(http, "close");
  };
  let node: MooringNode;
  try {
    // No edge is before it that would have to learn that it leaves.
    node = await createNode({ name: "node-1", url, admin: "off", edgeDelay: 0, ...options, server });
  } catch (error) {
    await stopListening();
    throw error;
  }
  http.on("request", (request, response) => node.handle(request, response));
  return {
    node,
    url,
    mcp: `${url}/mcp`,
    async stop(how) {
      await node.stop(how);
      await stopListening();
    },
  };
}
