import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mintSessionId } from "../../src/model/session-id.ts";
import { tagOf } from "../../src/model/tag.ts";
import { ProofChecker, proofHeader } from "../../src/node/peer-proof.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import type { MemoryStore } from "../../src/registry/memory/memory-store.ts";

export const peerSecret = "what the nodes of this test share";

/** A request that reached the fake owner, proven as it should be. */
export interface Delivery {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
}

/** A node that speaks the protocol of the peer link and does with requests what the test says. */
export class FakeOwner {
  readonly record: NodeRecord;
  /** In the order in which they were read to their end. */
  readonly deliveries: Delivery[] = [];
  /** Connections that were ever opened to it. */
  connections = 0;
  /** How often it was asked for a sign of life. */
  asked = 0;
  /** Until this resolves it gives no sign of life. */
  silence: Promise<void> | undefined;
  readonly #server: Server;

  private constructor(name: string, now: () => number, handle: (delivery: Delivery) => void, server: Server) {
    const tag = tagOf(name);
    const peer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const rest = { state: "up" as const, pid: 1, since: now() };
    this.record = { name, tag, incarnation: randomUUID(), url: "http://127.0.0.1:1", peer, ...rest };
    this.#server = server;
    const checker = new ProofChecker(peerSecret);
    server.keepAliveTimeout = 0;
    server.on("connection", () => {
      this.connections += 1;
    });
    server.on("request", async (request, response) => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of request) chunks.push(chunk);
      } catch {
        return;
      }
      const body = Buffer.concat(chunks).toString();
      const proven = {
        to: tag,
        method: request.method as string,
        path: request.url as string,
        session: String(request.headers["mcp-session-id"] ?? ""),
        body: request.method === "POST" ? body : undefined,
      };
      const fault = checker.fault(request.headers[proofHeader] as string | undefined, proven, now());
      if (fault !== undefined) return response.writeHead(500).end(fault);
      if (request.url === "/alive") {
        this.asked += 1;
        await this.silence;
        return response.writeHead(204).end();
      }
      const delivery = { request, response, body: body.toString() };
      this.deliveries.push(delivery);
      handle(delivery);
    });
  }

  /** Starts one and notes it in the registry. */
  static async start(
    store: MemoryStore,
    now: () => number,
    handle: (delivery: Delivery) => void,
    name = "fake-owner",
  ): Promise<FakeOwner> {
    const server = createServer();
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

  get openConnections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_error, count) => resolve(count)));
  }

  /** Dies: what was open breaks, and its port refuses connections. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
