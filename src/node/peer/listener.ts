import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Log } from "../../ports/log.ts";
import type { Exchange } from "../exchange.ts";
import { Accepted, type Services } from "./accepted.ts";
import { Channel } from "./channel.ts";
import { greetDialler } from "./greet.ts";
import type { Identity } from "./greeting.ts";
import { type Question, type QuestionHandler, writeSaid } from "./question.ts";

/** How long whoever connects may take to prove that it is a node of the cluster. */
const greetingDeadlineMs = 2_000;

/** How many may be at it at a time. Beyond that the one that has been at it longest is cut. */
const maxStrangers = 256;

/** How long the other side may take to close, when this node stops. */
const goodbyeDeadlineMs = 1_000;

export interface PeerListenerParts {
  readonly self: Identity;
  readonly secret: string;
  readonly log: Log;
  /** Answers a request that another node passed on. Never rejects. */
  relayed(exchange: Exchange): Promise<void>;
  readonly greetingDeadlineMs?: number;
}

/**
 * The listener for other nodes. Whoever connects has to prove, by the cluster's secret, that it is one of them and means
 * this one; before that nothing of what it says is done, and it is told nothing.
 */
export class PeerListener {
  readonly #server: Server;
  readonly #parts: PeerListenerParts;
  readonly #strangers = new Set<Socket>();
  /** Those of them that this side cut, and why; without a reason nobody has to hear of it. */
  readonly #cut = new WeakMap<Socket, string | undefined>();
  readonly #accepted = new Set<Accepted>();
  readonly #handlers = new Map<string, QuestionHandler>();
  readonly #services: Services;

  private constructor(parts: PeerListenerParts) {
    this.#parts = parts;
    this.#services = {
      relayed: (exchange) => parts.relayed(exchange),
      answer: (question, from) => this.#answer(question, from),
    };
    this.#server = createServer({ noDelay: true }, (socket) => void this.#greet(socket));
  }

  /** @throws the listener's error, as `EADDRINUSE` */
  static async start(parts: PeerListenerParts, host: string | undefined, port: number): Promise<PeerListener> {
    const listener = new PeerListener(parts);
    listener.#server.listen({ port, host });
    await once(listener.#server, "listening");
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets a kind of question be answered. */
  onQuestion(kind: string, handler: QuestionHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** The last thing of a node that ends: what still streams here has ended by then. */
  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#strangers) this.#cutOff(socket, undefined);
    for (const accepted of this.#accepted) accepted.goodbye();
    const deadline = setTimeout(() => {
      for (const accepted of this.#accepted) accepted.destroy();
    }, goodbyeDeadlineMs);
    await closed;
    clearTimeout(deadline);
  }

  async #greet(socket: Socket): Promise<void> {
    const { self, secret, log } = this.#parts;
    const late = () => this.#cutOff(socket, "it did not greet in time");
    const timer = setTimeout(late, this.#parts.greetingDeadlineMs ?? greetingDeadlineMs);
    socket.on("error", () => {});
    const from = socket.remoteAddress;
    this.#addStranger(socket);
    try {
      const { keys, peer, early } = await greetDialler(socket, { self, secret });
      const channel = new Channel(socket, keys);
      const accepted = new Accepted(channel, peer, this.#services, (reason, isFault) => {
        this.#accepted.delete(accepted);
        if (isFault) log.warn("peer-refused", { reason, from, peer: peer.tag });
      });
      this.#accepted.add(accepted);
      channel.start(accepted, early);
    } catch (error) {
      // Whoever only looks whether somebody listens, as health checks do, has done nothing.
      const broke = socket.bytesRead === 0 ? undefined : (error as Error).message;
      const reason = this.#cut.has(socket) ? this.#cut.get(socket) : broke;
      if (reason !== undefined) log.warn("peer-refused", { reason, from });
      // What was written, a reply that no version is common, may still leave.
      socket.destroySoon();
    } finally {
      clearTimeout(timer);
      this.#strangers.delete(socket);
    }
  }

  #addStranger(socket: Socket): void {
    const [longest] = this.#strangers;
    if (longest !== undefined && this.#strangers.size >= maxStrangers) {
      // Of many that say nothing the log would be full.
      const why = `it had not greeted yet when ${maxStrangers} others wanted to`;
      this.#cutOff(longest, longest.bytesRead === 0 ? undefined : why);
    }
    this.#strangers.add(socket);
  }

  #cutOff(socket: Socket, why: string | undefined): void {
    if (!this.#cut.has(socket)) this.#cut.set(socket, why);
    socket.destroy();
  }

  async #answer(question: Question, from: Identity): Promise<string> {
    try {
      const answer = await this.#handlers.get(question.kind)?.(question, from);
      return answer === undefined ? "" : writeSaid(answer);
    } catch (error) {
      this.#parts.log.error("request-failed", { method: question.kind, error: String(error) });
      return "";
    }
  }
}
