import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A TCP connection whose reads are kept one by one, as the network delivered them. */
export class RawSocket {
  readonly socket: Socket;
  reads: string[] = [];
  closed = false;
  #wake = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      this.reads.push(String(chunk));
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async open(url: string): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    return new RawSocket(socket);
  }

  /** All that came so far. */
  get text(): string {
    return this.reads.join("");
  }

  /** Sends bytes, and gives the reads up to and with the one that completes an answer with a Content-Length. */
  async ask(bytes: string): Promise<string[]> {
    this.reads = [];
    this.socket.write(bytes);
    while (!isWhole(this.text)) {
      if (this.closed) throw new Error(`The connection was closed after: ${this.text.slice(0, 500)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.reads;
  }
}

function isWhole(text: string): boolean {
  const head = text.indexOf("\r\n\r\n");
  const length = /^content-length: (\d+)$/im.exec(text.slice(0, head));
  return head >= 0 && length !== null && text.length - head - 4 >= Number(length[1]);
}

/** The bytes of one HTTP request. */
export function httpRequest(
  method: string,
  path: string,
  headers: Readonly<Record<string, string | readonly string[]>>,
  body = "",
): string {
  const all = {
    Host: "127.0.0.1",
    ...(body !== "" && { "Content-Length": String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
