import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";

/** What a raw target does with one call, given the call's id and text. */
export type Answer = (socket: Socket, id: number, text: string) => void;

export interface RawTarget {
  readonly url: string;
  stop(): Promise<void>;
}

/** An endpoint that opens sessions as it should, and answers calls byte by byte as a test wants them answered. */
export async function rawTarget(answers: readonly Answer[]): Promise<RawTarget> {
  const sockets = new Set<Socket>();
  let calls = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (data) => {
      const request = data.toString();
      const body = request.slice(request.indexOf("\r\n\r\n") + 4);
      if (request.startsWith("DELETE")) {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      const { id, method, params } = JSON.parse(body) as {
        id: number;
        method: string;
        params?: { arguments: { text: string } };
      };
      if (method === "initialize") {
        socket.write(whole(JSON.stringify({ jsonrpc: "2.0", id, result: {} }), "Mcp-Session-Id: s\r\n"));
      } else if (method === "notifications/initialized") {
        socket.write("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
      } else {
        const answer = answers[calls] as Answer;
        calls += 1;
        answer(socket, id, params?.arguments.text ?? "");
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** The right answer to a call. */
export function echo(id: number, text: string): string {
  return JSON.stringify({ jsonrpc: "2.0", id, result: { content: [], structuredContent: { text } } });
}

export function whole(json: string, headers = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`;
}

export const eventStreamHead =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}
