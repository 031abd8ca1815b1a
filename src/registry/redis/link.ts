import type { Address } from "./redis-url.ts";
import type { Send } from "./scripts.ts";

/** How commands reach Redis: one server (which Sentinels may move), or a cluster. */
export interface Link {
  /** Begins to connect, and goes on until it is stopped. */
  start(): void;

  /** Sends a command to the server that holds the key. Rejects at once when that one is not connected. */
  send(key: string, command: readonly string[], signal: AbortSignal): Promise<unknown>;

  /** Sends a write likewise and, where its server has replicas, waits a short time for one of them to have it too. */
  sendReplicated(key: string, command: readonly string[], signal: AbortSignal): Promise<unknown>;

  /** Asks for a sign of life where the key of a failed command is held. */
  probe(key: string, signal: AbortSignal): Promise<void>;

  /** Makes new connections in place of those that are silent. */
  renew(): void;

  /** Where a subscriber should connect. */
  subscriberAddress(signal: AbortSignal): Promise<Address>;

  /**
   * Whether one server serves all keys: then a failure of one command is a failure of all, and the next need not wait
   * for a deadline of its own.
   */
  readonly oneServer: boolean;

  stop(): Promise<void>;
}

export interface LinkEvents {
  /** Connected, with all that belongs to it: the first time, and after each loss. A cluster has no one address. */
  readonly onUp: (address?: Address) => void;
  /** An attempt to connect failed, or the connection was lost. */
  readonly onFailure: (error: Error) => void;
  /** So many writes were answered, and no replica is known to have them. */
  readonly onNotReplicated: (writes: number, why: string) => void;
}

/** What a call of the registry asks for. */
export interface CallOptions {
  /** What it does, in words. */
  readonly doing: string;
  /** The key that it is about. */
  readonly key: string;
  /** Whether it writes what must outlive the server that it is written to. */
  readonly replicated?: boolean;
}

/** Makes one call of the registry, within its deadline. */
export type Call = (options: CallOptions, verb: (send: Send) => Promise<unknown>) => Promise<unknown>;
