import { createServer } from "node:net";

/** Below what systems give to outgoing connections, and beside what `--port 0` takes from. */
const lowest = 12_000;
const range = 6_000;

/** Ports of a cluster that a test chooses itself, so that it can start another one on the same. */
export async function chosenPorts(nodes: number): Promise<readonly string[]> {
  const single = ["--port", "--tls-port", "--console-port", "--redis-port", "--api-port"];
  const first = await freeRow(single.length + 2 * nodes);
  const rest = first + single.length;
  return [
    ...single.flatMap((option, index) => [option, String(first + index)]),
    ...["--node-port", String(rest), "--admin-port", String(rest + nodes)],
  ];
}

/** The first of several free ports in a row. */
async function freeRow(length: number): Promise<number> {
  for (;;) {
    const first = lowest + Math.floor(Math.random() * range);
    const free = await Promise.all(Array.from({ length }, (_, index) => isFree(first + index)));
    if (free.every(Boolean)) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
