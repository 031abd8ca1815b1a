import { describe, isReply } from "./failure.ts";

/** What this needs of a connection to Redis: commands go out in the order in which they are given. */
export interface Connection {
  sendCommand(command: readonly string[], options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

export interface ReplicaWaitsOptions {
  /** For how long a write waits for a replica. The connection takes no other command in that time. */
  readonly withinMs: number;
  /** How often to look for replicas, at most, and only while something is written. */
  readonly lookEveryMs?: number;
  /** For how long nothing waits after a wait that no replica ended: else one that hangs would slow every write. */
  readonly restMs?: number;
  readonly onNotReplicated: (writes: number, why: string) => void;
}

const resting = "its replicas were too slow a moment ago";

/** Writes that wait together. */
interface Group {
  writes: number;
  done: Promise<void>;
}

/** What is known of one connection's server. */
interface Server {
  /** Replicas that follow it. */
  replicas: number;
  lookedAt: number;
  restsUntil: number;
  /** The writes that a replica is asked for now. */
  waiting?: Group | undefined;
  /** Those that came since: they are asked for together, when the others are through. */
  next?: Group | undefined;
}

/**
 * Makes writes wait until a replica has them too, so that they outlive a failover. Only where there are replicas: on a
 * server without any the wait would last for its whole time. A write that no replica has in time succeeds all the same,
 * and is told; one whose server is lost meanwhile fails, because what comes after it may not know of it.
 */
export class ReplicaWaits {
  readonly #options: Required<ReplicaWaitsOptions>;
  readonly #servers = new WeakMap<Connection, Server>();

  constructor(options: ReplicaWaitsOptions) {
    this.#options = { lookEveryMs: 10_000, restMs: 1_000, ...options };
  }

  /** Finds out whether the server has replicas. Done once before the first write on a connection, here or by it. */
  async look(connection: Connection, abortSignal?: AbortSignal): Promise<void> {
    await this.#look(connection, abortSignal);
  }

  /** Sends a write, and gives its reply when a replica has it or none is waited for. */
  async send(connection: Connection, command: readonly string[], abortSignal: AbortSignal): Promise<unknown> {
    const server = this.#servers.get(connection) ?? (await this.#look(connection, abortSignal));
    // Both leave together: nothing may be awaited between them.
    const sent = connection.sendCommand(command, { abortSignal });
    const confirmed = this.#confirm(connection, server);
    // When both fail, the first to do so says why.
    confirmed?.catch(() => {});
    const reply = await sent;
    await confirmed;
    return reply;
  }

  /** Waits for a replica to have what was written on this connection. */
  async confirm(connection: Connection): Promise<void> {
    const server = this.#servers.get(connection);
    if (server !== undefined) await this.#confirm(connection, server);
  }

  #confirm(connection: Connection, server: Server): Promise<void> | undefined {
    const now = performance.now();
    if (now - server.lookedAt >= this.#options.lookEveryMs) {
      server.lookedAt = now;
      this.#look(connection).catch(() => {});
    }
    if (server.replicas === 0) return undefined;
    if (now < server.restsUntil) {
      this.#options.onNotReplicated(1, resting);
      return undefined;
    }
    if (server.waiting === undefined && server.next === undefined) {
      server.waiting = { writes: 1, done: Promise.resolve() };
      server.waiting.done = this.#wait(connection, server, server.waiting);
      return server.waiting.done;
    }
    if (server.next === undefined) {
      const group: Group = { writes: 0, done: Promise.resolve() };
      const before = Promise.resolve(server.waiting?.done).catch(() => {});
      group.done = before.then(() => this.#wait(connection, server, group));
      server.next = group;
    }
    server.next.writes += 1;
    return server.next.done;
  }

  async #wait(connection: Connection, server: Server, group: Group): Promise<void> {
    if (server.next === group) server.next = undefined;
    server.waiting = group;
    const { withinMs, restMs, onNotReplicated } = this.#options;
    try {
      // While it was its turn to come, this may have changed.
      if (server.replicas === 0) return;
      if (performance.now() < server.restsUntil) return onNotReplicated(group.writes, resting);
      const why = await this.#ask(connection, server, withinMs);
      if (why === undefined) return;
      server.restsUntil = performance.now() + restMs;
      onNotReplicated(group.writes, why);
      // They may all be gone: then the next write has none to wait for.
      if (server.replicas > 0) await this.#look(connection).catch(() => {});
    } finally {
      server.waiting = undefined;
    }
  }

  /** Gives why no replica is known to have what was written. Rejects when nobody answers: the server may be lost. */
  async #ask(connection: Connection, server: Server, withinMs: number): Promise<string | undefined> {
    try {
      const reply = await connection.sendCommand(["WAIT", "1", String(withinMs)]);
      return Number(reply) >= 1 ? undefined : `no replica had it within ${withinMs} ms`;
    } catch (error) {
      if (!isReply(error)) throw error;
      // It may not be asked for: then it never will be on this connection.
      server.replicas = 0;
      return describe(error);
    }
  }

  async #look(connection: Connection, abortSignal?: AbortSignal): Promise<Server> {
    const replicas = await this.#count(connection, abortSignal);
    const known = this.#servers.get(connection);
    const server = known ?? { replicas, lookedAt: 0, restsUntil: 0 };
    server.replicas = replicas;
    server.lookedAt = performance.now();
    this.#servers.set(connection, server);
    return server;
  }

  async #count(connection: Connection, abortSignal: AbortSignal | undefined): Promise<number> {
    try {
      const info = String(
        await connection.sendCommand(["INFO", "replication"], { ...(abortSignal && { abortSignal }) }),
      );
      return info.match(/\bstate=online\b/g)?.length ?? 0;
    } catch (error) {
      if (!isReply(error)) throw error;
      this.#options.onNotReplicated(0, `whether there are replicas can't be asked: ${describe(error)}`);
      return 0;
    }
  }
}
