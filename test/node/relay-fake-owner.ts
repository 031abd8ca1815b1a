import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { mintSessionId } from "../../src/model/session-id.ts";
import { tagOf } from "../../src/model/tag.ts";
import type { Exchange } from "../../src/node/exchange.ts";
import { Accepted } from "../../src/node/peer/accepted.ts";
import { Channel } from "../../src/node/peer/channel.ts";
import { greetDialler } from "../../src/node/peer/greet.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import type { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { answer } from "../../src/session/response-sink.ts";

export const peerSecret = "what the nodes of this test share";

/** A request that reached the fake owner, proven as it should be. */
export interface Delivery extends Pick<Exchange, "method" | "headers" | "sink"> {
  readonly body: string;
  /** Breaks the connection that it came by, once what was written has left. */
  die(): void;
}

/** A node that speaks the protocol of the peer link and does with requests what the test says. */
export class FakeOwner {
  readonly record: NodeRecord;
  /** In the order in which they were read to their end. */
  readonly deliveries: Delivery[] = [];
  /** Connections that were ever opened to it. */
  connections = 0;
  /** Until this resolves it greets nobody, and so gives no sign of life. */
  silence: Promise<void> | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #handle: (delivery: Delivery) => void;

  private constructor(name: string, now: () => number, handle: (delivery: Delivery) => void, server: Server) {
    const tag = tagOf(name);
    const peer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const rest = { state: "up" as const, pid: 1, since: now() };
    this.record = { name, tag, incarnation: randomUUID(), url: "http://127.0.0.1:1", peer, ...rest };
    this.#server = server;
    this.#handle = handle;
    server.on("connection", (socket) => void this.#greet(socket));
  }

  /** Starts one and notes it in the registry. */
  static async start(
    store: MemoryStore,
    now: () => number,
    handle: (delivery: Delivery) => void,
    name = "fake-owner",
  ): Promise<FakeOwner> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const owner = new FakeOwner(name, now, handle, server);
    store.join(owner.record, 60_000, Date.now());
    return owner;
  }

  /** A session that the registry says is its own; its home may be another node. */
  session(store: MemoryStore, homeTag = this.record.tag): string {
    const id = mintSessionId(homeTag, randomBytes(18));
    const { tag, incarnation } = this.record;
    store.claim({ id, owner: { tag, incarnation }, epoch: 1, createdAt: Date.now() }, Date.now());
    return id;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Dies: what was open breaks, and its port refuses connections. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #greet(socket: Socket): Promise<void> {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    await this.silence;
    const { keys, peer, early } = await greetDialler(socket, { self: this.record, secret: peerSecret });
    const channel = new Channel(socket, keys);
    const services = {
      relayed: async ({ method, headers, sink, body }: Exchange) => {
        const delivery = { method, headers, sink, body: (await body(1)) as string, die: () => die(socket) };
        this.deliveries.push(delivery);
        this.#handle(delivery);
      },
      answer: async () => "",
    };
    channel.start(new Accepted(channel, peer, services, () => {}), early);
  }
}

function die(socket: Socket): void {
  // Behind the turn in which a connection writes.
  setImmediate(() => socket.destroySoon());
}

/** Answers with a head that is given as an object, and a whole body. */
export function reply({ sink }: Delivery, status: number, headers: Record<string, string>, body = ""): void {
  answer(sink, status, Object.entries(headers).flat(), body);
}

/** Begins a stream of events: its head leaves at once. */
export function beginEvents({ sink }: Delivery): void {
  sink.writeHead(200, ["Content-Type", "text/event-stream"]);
  sink.flushHeaders();
}
