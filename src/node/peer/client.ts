import { connect, type Socket } from "node:net";
import type { Log } from "../../ports/log.ts";
import type { NodeRecord } from "../../ports/registry.ts";
import { Channel } from "./channel.ts";
import { Dialled, type LinkWatcher, type PeerRequest } from "./dialled.ts";
import { greetListener } from "./greet.ts";
import type { Identity } from "./greeting.ts";
import type { Answer, Question } from "./question.ts";
import { type AnswerTaker, headTicksFor } from "./request-stream.ts";

export interface PeerClientParts {
  readonly self: Identity;
  readonly secret: string;
  /** For how long a sign of life is believed, in milliseconds. */
  readonly probeMs: number;
  /** For how long other nodes may hold a request, in milliseconds. */
  readonly holdMs: number;
  readonly log: Log;
}

/** How long a connection to another node may take until both sides have greeted, and how long its sign of life. */
const aliveDeadlineMs = 1_000;

/** Why there is no connection. `refused`: nobody listens at the node's address. `silent`: anything else. */
export type NoLink = "refused" | "silent";

/** Whether a node answers, or why not. */
export type SignOfLife = "alive" | NoLink;

/** A node that is spoken to: a member, or the owner that the registry names. */
export type PeerNode = Pick<NodeRecord, "name" | "tag" | "incarnation" | "peer">;

/** A node that this one talks to. */
interface Peer {
  readonly node: PeerNode;
  link: Dialled | undefined;
  /** The connection that is being made, which all requests of the moment wait for. */
  dialling: Promise<Dialled | NoLink> | undefined;
  /** The sign of life that was asked for. */
  asking: Promise<SignOfLife> | undefined;
  /** Why it was not reached last time. */
  failure: string | undefined;
}

/** Connections to the peer links of other nodes, one to each, kept open. */
export class PeerClient {
  readonly #parts: PeerClientParts;
  readonly #peers = new Map<string, Peer>();
  /** All that are open, also those that only end what they carry. */
  readonly #links = new Set<Dialled>();
  readonly #sockets = new Set<Socket>();
  #stopped = false;

  constructor(parts: PeerClientParts) {
    this.#parts = parts;
  }

  /**
   * Whether a node answers. A sign of life of the last half second is believed; else it is asked, because a frozen
   * node takes connections and requests and never answers: what was sent to it can't be sent elsewhere any more.
   */
  sign(node: PeerNode): SignOfLife | Promise<SignOfLife> {
    if (this.#stopped) return "silent";
    const peer = this.#peer(node);
    if (peer.link?.heardWithin(this.#parts.probeMs) === true) return "alive";
    peer.asking ??= this.#askForLife(peer).finally(() => {
      peer.asking = undefined;
    });
    return peer.asking;
  }

  /** Sends a request. What comes back, and every failure, goes to the taker. */
  request(node: PeerNode, request: PeerRequest, taker: AnswerTaker): void {
    const peer = this.#peer(node);
    if (peer.link !== undefined) peer.link.request(request, taker);
    else void this.#dialAndRequest(peer, request, taker);
  }

  /**
   * Asks a node a question. `"refused"`: nobody listens at its address. `"silent"`: no answer within the deadline, or
   * none that can be believed. When the connection breaks it is asked again, so handlers must not mind that, unless the
   * node was let go of meanwhile.
   */
  async ask(node: PeerNode, question: Question, deadlineMs: number): Promise<Answer | NoLink> {
    const end = performance.now() + deadlineMs;
    const peer = this.#peer(node);
    for (;;) {
      const link = await within(end - performance.now(), this.#link(peer));
      if (link === undefined || typeof link === "string") return link ?? "silent";
      const left = end - performance.now();
      const answer = left > 0 ? await link.ask(question, left) : undefined;
      if (answer !== "lost") return answer ?? "silent";
      // It was let go of meanwhile: its connection is lost for good, and asking on would keep this process from all else.
      if (this.#peers.get(node.tag) !== peer) return "silent";
    }
  }

  /** Why a node was not reached last time. */
  failure(node: PeerNode): string | undefined {
    return this.#peers.get(node.tag)?.failure;
  }

  /** Lets go of nodes that are gone, and of former starts of those that came back. */
  keepOnly(nodes: readonly PeerNode[]): void {
    const incarnations = new Set(nodes.map(({ incarnation }) => incarnation));
    for (const [tag, peer] of this.#peers) {
      if (incarnations.has(peer.node.incarnation)) continue;
      this.#peers.delete(tag);
      peer.link?.retire();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const link of this.#links) link.destroy("this node is stopping");
    const open = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(open);
  }

  #peer(node: PeerNode): Peer {
    const known = this.#peers.get(node.tag);
    if (known?.node.incarnation === node.incarnation) return known;
    // What still streams may end by itself: a node out of the registry may be alive.
    known?.link?.retire();
    const peer: Peer = { node, link: undefined, dialling: undefined, asking: undefined, failure: undefined };
    this.#peers.set(node.tag, peer);
    return peer;
  }

  async #askForLife(peer: Peer): Promise<SignOfLife> {
    if (peer.link !== undefined) {
      const alive = await peer.link.ping(aliveDeadlineMs);
      if (alive === false) peer.failure = "it gave no sign of life";
      if (alive !== "lost") return alive ? "alive" : "silent";
    }
    // A greeting is a sign of life too.
    const link = await this.#link(peer);
    return typeof link === "string" ? link : "alive";
  }

  async #dialAndRequest(peer: Peer, request: PeerRequest, taker: AnswerTaker): Promise<void> {
    const link = await this.#link(peer);
    if (typeof link === "string") taker.lost("unsent");
    else link.request(request, taker);
  }

  async #link(peer: Peer): Promise<Dialled | NoLink> {
    if (this.#stopped) return "silent";
    if (peer.link !== undefined) return peer.link;
    peer.dialling ??= this.#dial(peer).finally(() => {
      peer.dialling = undefined;
    });
    return peer.dialling;
  }

  async #dial(peer: Peer): Promise<Dialled | NoLink> {
    const { self, secret, log } = this.#parts;
    const { node } = peer;
    if (node.peer === undefined) return "silent";
    const { hostname, port } = new URL(node.peer);
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port), noDelay: true });
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    let failure: NodeJS.ErrnoException | undefined;
    socket.on("error", (error) => {
      failure = error;
    });
    const timer = setTimeout(() => socket.destroy(new Error("it did not greet in time")), aliveDeadlineMs);
    try {
      const { keys, early } = await greetListener(socket, { self, secret }, node);
      const channel = new Channel(socket, keys);
      const watcher: LinkWatcher = {
        unusable: (reason, isFault) => {
          if (peer.link === link) peer.link = undefined;
          peer.failure = reason;
          if (isFault) log.warn("peer-refused", { reason, peer: node.name, peerUrl: node.peer });
        },
        closed: () => this.#links.delete(link),
      };
      const link = new Dialled(channel, watcher, headTicksFor(this.#parts.holdMs));
      this.#links.add(link);
      peer.link = link;
      peer.failure = undefined;
      channel.start(link, early);
      // Meanwhile the node may have gone from the table, or come back as another start.
      if (this.#peers.get(node.tag) !== peer) link.retire();
      return link;
    } catch (error) {
      socket.destroy();
      peer.failure = failure?.message ?? (error as Error).message;
      return failure?.code === "ECONNREFUSED" ? "refused" : "silent";
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Waits so long at most. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), undefined);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
