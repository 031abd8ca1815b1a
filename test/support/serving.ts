import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createNode, type MooringNode, type ServerDefinition } from "mooring";

/** One node in this process, on a free port of loopback. */
export interface Serving {
  readonly node: MooringNode;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly mcp: string;
  stop(): Promise<void>;
}

export async function serve(
  server: ServerDefinition,
  options: { readonly name?: string; readonly redis?: string } = {},
): Promise<Serving> {
  const http = createServer();
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const node = await createNode({ server, name: options.name ?? "node-1", url, redis: options.redis, admin: "off" });
  http.on("request", (request, response) => node.handle(request, response));
  return {
    node,
    url,
    mcp: `${url}/mcp`,
    async stop() {
      await node.stop();
      http.closeAllConnections();
      http.close();
      await once(http, "close");
    },
  };
}
