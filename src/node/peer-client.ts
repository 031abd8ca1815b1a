import { type Dispatcher, Pool } from "undici";
import type { NodeRecord } from "../ports/registry.ts";
import { proofHeader, prove } from "./peer-proof.ts";

/** A request to another node's peer link. */
export interface PeerRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** The session that it is about, or empty. */
  readonly session: string;
  /** Name and value in turns. */
  readonly headers: readonly string[];
  readonly body?: string | undefined;
}

export interface PeerClientOptions {
  readonly secret: string;
  /** For how long a sign of life is believed, in milliseconds. */
  readonly probeMs: number;
  /** The time that proofs carry. */
  now(): number;
}

/** How long a connection to another node, and its sign of life, may take. */
const aliveDeadlineMs = 1_000;

/** A node that this one has connections to. */
interface Peer {
  readonly pool: Pool;
  readonly incarnation: string;
  /** When it last answered anything, by a clock that nobody sets: set back, it would make a frozen node seem alive. */
  seen: number;
  /** The question that is on its way, which all requests of the moment wait for. */
  asking: Promise<boolean> | undefined;
}

/** Connections to the peer links of other nodes, kept open between requests. */
export class PeerClient {
  readonly #options: PeerClientOptions;
  readonly #peers = new Map<string, Peer>();
  /** Connections let go of that still stream. */
  readonly #former = new Set<Pool>();
  #stopped = false;

  constructor(options: PeerClientOptions) {
    this.#options = options;
  }

  /**
   * Whether a node answers. A sign of life of the last half second is believed; else it is asked, because a frozen
   * node takes connections and requests and never answers: what was sent to it can't be sent elsewhere any more.
   */
  async isAlive(node: NodeRecord): Promise<boolean> {
    if (this.#stopped) return false;
    const peer = this.#peer(node);
    if (performance.now() - peer.seen < this.#options.probeMs) return true;
    peer.asking ??= this.#ask(node, peer).finally(() => {
      peer.asking = undefined;
    });
    return peer.asking;
  }

  /** Notes that a node has answered something. */
  saw(node: NodeRecord): void {
    const peer = this.#peers.get(node.tag);
    // The answer of a former start says nothing of the present one.
    if (peer?.incarnation === node.incarnation) peer.seen = performance.now();
  }

  /** Sends a request. What comes back, and every failure, goes to the handler. */
  dispatch(node: NodeRecord, request: PeerRequest, handler: Dispatcher.DispatchHandler): void {
    const { method, path, session, headers, body } = request;
    const proof = prove(this.#options.secret, { to: node.tag, method, path, session, body }, this.#options.now());
    this.#peer(node).pool.dispatch(
      { method, path, headers: [...headers, proofHeader, proof], body: body ?? null },
      handler,
    );
  }

  /** Lets go of nodes that are gone, and of former starts of those that came back. */
  keepOnly(nodes: readonly NodeRecord[]): void {
    const incarnations = new Set(nodes.map(({ incarnation }) => incarnation));
    for (const [tag, peer] of this.#peers) {
      if (incarnations.has(peer.incarnation)) continue;
      this.#peers.delete(tag);
      this.#letGo(peer.pool);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const pools = [...[...this.#peers.values()].map(({ pool }) => pool), ...this.#former];
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  /** What still streams may end by itself: a node out of the registry may be alive. */
  #letGo(pool: Pool): void {
    this.#former.add(pool);
    void pool.close().finally(() => this.#former.delete(pool));
  }

  #peer(node: NodeRecord): Peer {
    const known = this.#peers.get(node.tag);
    if (known?.incarnation === node.incarnation) return known;
    if (known !== undefined) this.#letGo(known.pool);
    const pool = new Pool(node.peer ?? "http://invalid.invalid", {
      // Streams hold a connection for hours: a bound would leave calls waiting behind them.
      connections: null,
      pipelining: 1,
      connect: { timeout: aliveDeadlineMs },
      // Answers may take as long as calls do; a node that is gone is found by its sign of life.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 60_000,
    });
    const peer: Peer = { pool, incarnation: node.incarnation, seen: Number.NEGATIVE_INFINITY, asking: undefined };
    this.#peers.set(node.tag, peer);
    return peer;
  }

  async #ask(node: NodeRecord, peer: Peer): Promise<boolean> {
    const request: PeerRequest = { method: "GET", path: "/alive", session: "", headers: [] };
    const alive = await new Promise<boolean>((resolve) => {
      let abort: (() => void) | undefined;
      const timer = setTimeout(() => {
        resolve(false);
        abort?.();
      }, aliveDeadlineMs);
      const settle = (answer: boolean) => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.dispatch(node, request, {
        onRequestStart: (controller) => {
          abort = () => controller.abort(new Error("no sign of life in time"));
        },
        onResponseStart: (_controller, status) => settle(status === 204),
        onResponseData: () => {},
        onResponseEnd: () => {},
        onResponseError: () => settle(false),
      });
    });
    if (alive) peer.seen = performance.now();
    return alive;
  }
}
