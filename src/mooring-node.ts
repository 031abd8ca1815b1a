import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionView } from "./admin/target.ts";
import type { Settings } from "./model/settings.ts";
import type { Clock } from "./ports/clock.ts";
import type { Log } from "./ports/log.ts";
import type { NodeRecord, Registry } from "./ports/registry.ts";
import type { ServerDefinition, ServerFactory } from "./session/define-server.ts";

/** What `createNode` takes: every setting of a node (`--allow-origin` is `allowOrigin`), and these. */
export interface NodeOptions extends Partial<Settings> {
  readonly server: ServerDefinition | ServerFactory;
  /** Unique in the cluster. */
  readonly name: string;
  /** Where the node serves, e.g. `http://10.0.0.7:3001`: what the edge and other nodes are told. */
  readonly url: string;
  /** A registry of one's own making. Without it: Redis at `redis`; without that, memory (a cluster of one). */
  readonly registry?: Registry;
  /** `redis://`, `rediss://` (TLS), `redis+sentinel://`, `redis+cluster://`. */
  readonly redis?: string | undefined;
  /**
   * Called when another process has joined under this node's name, as it may when this one was frozen for longer than
   * its lease. The node has ended its sessions and answers 503 from now on: stop it.
   */
  readonly onLost?: (to: NodeRecord) => void;
  /**
   * Called when an operator asks for a restart of this node (`mooring restart`): stop it, and end the process, so that
   * what supervises it starts it again. Without it the operator is told that the node's host restarts it.
   */
  readonly onRestart?: () => void;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** One node of a cluster, embedded in this process. */
export interface MooringNode {
  readonly name: string;
  readonly tag: string;
  readonly incarnation: string;
  /** The admin listener's address, e.g. `http://127.0.0.1:9401`, or undefined when it is off. */
  readonly admin: string | undefined;
  /** Answers one request of Node's http server: `/mcp`, and the app's paths. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Answers one request of a web-standard framework. `/mcp` only; other paths give 404. */
  fetch(request: Request): Promise<Response>;
  /**
   * Whether this node can serve the session: it lives here, or is parked here. False for one that the registry knows as
   * another node's (logged as misrouted).
   */
  hasSession(id: string): Promise<boolean>;
  /** The sessions that live on this node: without those that are parked. */
  sessions(): SessionView[];
  /** All nodes that the registry knows. */
  nodes(): Promise<readonly NodeRecord[]>;
  /** Ends a session wherever it lives. Gives whether it existed. */
  close(id: string): Promise<boolean>;
  /**
   * Takes no new sessions (the edge sends no new clients here, and `/readyz` answers 503), and hands those that are here
   * over to other nodes. Resolves when all have left that can in time; in the policy `reject`, and where no other node
   * is up, they are served on here. Rejects with a RegistryError when the registry could not be told yet; it is told as
   * soon as it answers.
   */
  drain(): Promise<void>;
  /** Takes new sessions again; those that were handed over come home. Changes nothing of a node that stops. */
  undrain(): Promise<void>;
  /**
   * Hands all sessions over as {@link drain} does, leaves the cluster, and frees every socket and timer. Keep listening
   * until it resolves: until the edge has taken the node out, what reaches it is passed on.
   *
   * @param how `handOver: false`: no session moves to another node, because the whole cluster ends. It counts also when
   * it is given while the node stops.
   */
  stop(how?: { readonly handOver?: boolean }): Promise<void>;
}
