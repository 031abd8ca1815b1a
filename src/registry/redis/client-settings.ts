import type { ConnectionOptions } from "node:tls";
import { RedisClient } from "redis";
import type { Address, RedisTarget } from "./redis-url.ts";

/** How long things on the way to Redis may take, in milliseconds. */
export interface RedisDeadlines {
  /** One registry call. */
  readonly call: number;
  /** start(), attempts together. */
  readonly start: number;
  /** One attempt to connect, handshake included. */
  readonly connect: number;
  /** Silence of a server that should have answered, until its connection is given up for a new one. */
  readonly silence: number;
  /** For a replica to have a write, where there are replicas. */
  readonly replica: number;
}

export const defaultDeadlines: RedisDeadlines = {
  call: 1_000,
  start: 5_000,
  connect: 3_000,
  silence: 3_000,
  replica: 100,
};

/** What all connections of one registry have in common. */
export interface ClientSettings {
  readonly target: RedisTarget;
  readonly deadlines: RedisDeadlines;
  /** More for TLS than Node's defaults and NODE_EXTRA_CA_CERTS, such as a CA of one's own. */
  readonly tls?: ConnectionOptions | undefined;
}

/** The commands that may wait on one connection. More are refused at once, so that a silent server fills no memory. */
const longestQueue = 10_000;

/** Options of the official client that hold for every connection, in a cluster or not. */
export const commonOptions = {
  name: "mooring",
  // A command for a server that is not there fails at once; what to do then is decided above.
  disableOfflineQueue: true,
  commandsQueueMaxLength: longestQueue,
  maintNotifications: "disabled",
  // The client's own deadline only covers commands that were not sent yet.
  commandOptions: { timeout: undefined },
} as const;

/** The user that the URL names. */
export function credentials({ target }: ClientSettings): { username?: string; password?: string } {
  return {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
  };
}

/** The part of the options that is about the socket. */
export function socketOptions({ target, deadlines, tls }: ClientSettings) {
  return {
    connectTimeout: deadlines.connect,
    ...(target.tls ? { ...tls, tls: true as const } : {}),
  };
}

export interface ConnectionPurpose {
  /** Whether to log in as the URL's user. */
  readonly asUser?: boolean;
  /** In place of the URL's: a Sentinel has none. */
  readonly database?: number;
  /** Check by itself, while idle, that the other end is still there: for connections on which nothing is asked. */
  readonly pings?: boolean;
}

/**
 * A client that connects once; when its connection is lost, a new client takes its place. `createClient` would make a
 * class with a method per command each time, which costs tens of milliseconds; raw commands need none of them.
 */
export function oneConnection(settings: ClientSettings, address: Address, purpose: ConnectionPurpose = {}) {
  const { silence } = settings.deadlines;
  const { asUser = true, pings = false, database = settings.target.database } = purpose;
  return new RedisClient({
    ...commonOptions,
    ...(asUser ? credentials(settings) : {}),
    database,
    ...(pings ? { pingInterval: 2 * silence } : {}),
    socket: {
      ...socketOptions(settings),
      ...address,
      reconnectStrategy: false,
      ...(pings ? { socketTimeout: 3 * silence } : {}),
    },
  });
}

export type Client = ReturnType<typeof oneConnection>;
