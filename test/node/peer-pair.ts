import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Exchange } from "../../src/node/exchange.ts";
import { Accepted } from "../../src/node/peer/accepted.ts";
import { Channel } from "../../src/node/peer/channel.ts";
import { Dialled, type LinkWatcher } from "../../src/node/peer/dialled.ts";
import { agree } from "../../src/node/peer/greeting.ts";
import type { AnswerStream, AnswerTaker, Loss } from "../../src/node/peer/request-stream.ts";

/** Both ends of a TCP connection on loopback. */
async function socketPair(): Promise<{ near: Socket; far: Socket; close(): void }> {
  const server = createServer({ noDelay: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", noDelay: true });
  const [far] = (await once(server, "connection")) as [Socket];
  for (const socket of [near, far]) socket.on("error", () => {});
  const close = () => {
    near.destroy();
    far.destroy();
    server.close();
  };
  return { near, far, close };
}

/** The keys of a greeting, as each side has them. */
export function keys() {
  const { toListener, toDialler } = agree("what both know", Buffer.from("hello"), Buffer.from("reply"));
  return {
    dialler: { incoming: toDialler, outgoing: toListener },
    listener: { incoming: toListener, outgoing: toDialler },
  };
}

export interface PairOptions {
  readonly relayed?: (exchange: Exchange) => void;
  readonly tickMs?: number;
  readonly headTicks?: number;
}

/** A connection between two nodes, both ends in this process. */
export interface Pair {
  readonly dialled: Dialled;
  readonly accepted: Accepted;
  readonly sockets: { readonly near: Socket; readonly far: Socket };
  /** Why each end is gone, once it is. */
  readonly ends: { dialled?: string; accepted?: string };
  close(): void;
}

export async function peerPair({ relayed = () => {}, tickMs, headTicks = 10 }: PairOptions = {}): Promise<Pair> {
  const { near, far, close } = await socketPair();
  const { dialler, listener } = keys();
  const ends: Pair["ends"] = {};
  const diallerChannel = new Channel(near, dialler, tickMs);
  const watcher: LinkWatcher = {
    unusable: (reason) => {
      ends.dialled = reason;
    },
    closed: () => {},
  };
  const dialled = new Dialled(diallerChannel, watcher, headTicks);
  const services = {
    relayed: async (exchange: Exchange) => relayed(exchange),
    answer: async () => "",
  };
  const listenerChannel = new Channel(far, listener, tickMs);
  const accepted = new Accepted(listenerChannel, { tag: "aaaaaa", incarnation: "1" }, services, (reason) => {
    ends.accepted = reason;
  });
  diallerChannel.start(dialled, Buffer.alloc(0));
  listenerChannel.start(accepted, Buffer.alloc(0));
  return { dialled, accepted, sockets: { near, far }, ends, close };
}

/** An answer as it came, for tests to look at. Reads as it comes, unless it is told not to. */
export class TakenAnswer implements AnswerTaker {
  status: number | undefined;
  headers: string[] = [];
  chunks: Buffer[] = [];
  bytes = 0;
  whole = false;
  loss: Loss | undefined;
  stream: AnswerStream | undefined;
  readonly #reads: boolean;

  constructor({ reads = true } = {}) {
    this.#reads = reads;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  opened(stream: AnswerStream): void {
    this.stream = stream;
  }

  head(status: number, headers: string[], body: Buffer, last: boolean): void {
    this.status = status;
    this.headers = headers;
    this.data(body, last);
  }

  data(chunk: Buffer, last: boolean): void {
    this.chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    this.whole = last;
    if (this.#reads) this.stream?.read(chunk.length);
  }

  lost(how: Loss): void {
    this.loss = how;
  }
}
