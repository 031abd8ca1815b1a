import {
  oneOf,
  oneOrBoth,
  readBoolean,
  readDuration,
  readHosts,
  readNamespace,
  readOrigins,
  readPace,
  readPeerSecret,
  readPeerUrl,
} from "./written-values.ts";

/**
 * The settings of a node: one table, from which come the command line's options, the environment variables
 * (`MOORING_…`) and the fields of `createNode`. Durations are milliseconds inside, and written as `500ms`, `5s`, `15min`,
 * `1h` outside.
 *
 * A new setting is a field of {@link Settings} and a row of {@link settingTable}; besides, where it needs them, its
 * reader (written-values.ts) and the values that are refused, alone or beside others (complete-settings.ts); and a line
 * in docs/operations.md.
 */

export interface Settings {
  /** Several clusters on one Redis: each key begins with `<namespace>:`. */
  readonly namespace: string;
  /** Whether sessions of a dead node are adopted. `reject`: they end with the reason `owner-gone`. */
  readonly policy: "resume" | "reject";
  /** How long a request waits for a session whose owner is not known yet. */
  readonly hold: number;
  /** What an answer does while the registry is away from every node: leave at once, or wait for the hold time and fail. */
  readonly durability: "available" | "strict";
  /** Which calls are noted before they run: those that take longer, or also each one that must not run twice. */
  readonly ledger: "relaxed" | "strict";
  /** Whether a misrouted request is passed on to the session's owner. */
  readonly relay: "on" | "off";
  /** What the edge pins by. */
  readonly affinity: readonly Affinity[];
  /** Where other nodes reach this node's peer link; empty: a free port on the host of the node's own address. */
  readonly peerUrl: string;
  /** Whether the node itself binds the address of its peer link: then a refused connection proves that it is gone. */
  readonly peerDirect: boolean;
  /** What nodes prove to each other that they belong together by; empty: a secret that they share in the registry. */
  readonly peerSecret: string;
  /** For how long a sign of life of another node is believed before a relay asks for a new one. */
  readonly probe: number;
  /** How a quick answer is written: as server-sent events, as the SDKs do, or as JSON. */
  readonly answers: "sse" | "json";
  /** Origins that may call from a browser, besides local ones and the request's own host. */
  readonly allowOrigin: readonly string[];
  /** Host names that a listener on loopback accepts, besides local ones. */
  readonly allowHost: readonly string[];
  /** Whether `X-Forwarded-Host` is believed: only behind a proxy that sets it. */
  readonly trustProxy: boolean;
  /** Where the admin listener listens: `host:port`, `port`, or "off". */
  readonly admin: string;
  /** For how long a node counts as up without a sign of life. */
  readonly lease: number;
  /** How often a node gives one. */
  readonly renew: number;
  /** How long a draining node may take to hand its sessions over; what is left then moves although calls are in flight. */
  readonly drainDeadline: number;
  /** How many sessions a node hands over per second at most, unless that would not end before the deadline. */
  readonly drainPace: number;
  /** For how long a node that leaves passes requests on that reach it still: until the edge has taken it out. */
  readonly edgeDelay: number;
  /** After how long without use a session leaves memory; 0: never. */
  readonly parkAfter: number;
  /** How long an unused session lives. */
  readonly sessionIdle: number;
}

/** What the edge can pin a client by: the tag in its session id, or the sticky cookie. */
export type Affinity = "session-id" | "cookie";

/** How one setting is written and read. */
export interface SettingSpec<T = Settings[keyof Settings]> {
  /** The option's name on the command line, without `--`. */
  readonly flag: string;
  /** How the value is shown in `--help`. */
  readonly argument: string;
  readonly fallback: T;
  readonly about: string;
  /** Reads a written value; throws a SettingsError that says what is accepted. */
  readonly read: (written: string, name: string) => T;
}

/** Redis keeps an unused session so long, and no longer. */
export const maxSessionIdleMs = 30 * 24 * 60 * 60_000;

/** By field, in the order in which `--help` shows them. */
export const settingTable: { readonly [K in keyof Settings]: SettingSpec<Settings[K]> } = {
  namespace: {
    flag: "namespace",
    argument: "<name>",
    fallback: "",
    about: "several clusters on one Redis: begins each key",
    read: readNamespace,
  },
  policy: {
    flag: "policy",
    argument: "<resume|reject>",
    fallback: "resume",
    about: "what becomes of the sessions of a dead node: adopted where their next request lands, or ended",
    read: oneOf("resume", "reject"),
  },
  hold: {
    flag: "hold",
    argument: "<duration>",
    fallback: 10_000,
    about: "how long a request waits while nobody knows yet who owns its session",
    read: readDuration,
  },
  durability: {
    flag: "durability",
    argument: "<available|strict>",
    fallback: "available",
    about:
      "while Redis is away from all nodes: answer without keeping what changed, or wait for the hold time and fail",
    read: oneOf("available", "strict"),
  },
  ledger: {
    flag: "ledger",
    argument: "<relaxed|strict>",
    fallback: "relaxed",
    about: "which calls are noted before they run: those that take over 20 ms, or each that is not marked repeatable",
    read: oneOf("relaxed", "strict"),
  },
  relay: {
    flag: "relay",
    argument: "<on|off>",
    fallback: "on",
    about: "whether a misrouted request is passed on to the session's owner",
    read: oneOf("on", "off"),
  },
  affinity: {
    flag: "affinity",
    argument: "<kinds>",
    fallback: ["session-id", "cookie"],
    about: "what the edge pins clients by: session-id, cookie, or both separated by a comma",
    read: oneOrBoth("session-id", "cookie"),
  },
  answers: {
    flag: "answers",
    argument: "<sse|json>",
    fallback: "sse",
    about: "how a quick answer is written; a longer one is always a stream of events",
    read: oneOf("sse", "json"),
  },
  allowOrigin: {
    flag: "allow-origin",
    argument: "<origins>",
    fallback: [],
    about: "origins that may call from a browser, separated by commas",
    read: readOrigins,
  },
  allowHost: {
    flag: "allow-host",
    argument: "<hosts>",
    fallback: [],
    about: "host names that a listener on loopback accepts, separated by commas",
    read: readHosts,
  },
  trustProxy: {
    flag: "trust-proxy",
    argument: "<true|false>",
    fallback: false,
    about: "believe X-Forwarded-Host; only behind a proxy that sets it",
    read: readBoolean,
  },
  admin: {
    flag: "admin",
    argument: "<host:port|off>",
    fallback: "127.0.0.1:0",
    about: "where health, metrics and the operators' API listen",
    read: (written) => written,
  },
  peerUrl: {
    flag: "peer-url",
    argument: "<url>",
    fallback: "",
    about: "where other nodes reach this one's peer link; default: a free port on the node's own host",
    read: readPeerUrl,
  },
  peerDirect: {
    flag: "peer-direct",
    argument: "<true|false>",
    fallback: false,
    about:
      "the peer link's address is the node's own, no Service or NAT between: a refused connection proves its death",
    read: readBoolean,
  },
  peerSecret: {
    flag: "peer-secret",
    argument: "<secret>",
    fallback: "",
    about: "what nodes prove by that they belong together; default: a secret that they share in Redis",
    read: readPeerSecret,
  },
  probe: {
    flag: "probe",
    argument: "<duration>",
    fallback: 500,
    about: "for how long a sign of life of another node is believed before a relay",
    read: readDuration,
  },
  lease: {
    flag: "lease",
    argument: "<duration>",
    fallback: 5_000,
    about: "for how long a node counts as up without a sign of life",
    read: readDuration,
  },
  renew: {
    flag: "renew",
    argument: "<duration>",
    fallback: 1_000,
    about: "how often a node gives a sign of life",
    read: readDuration,
  },
  drainDeadline: {
    flag: "drain-deadline",
    argument: "<duration>",
    fallback: 30_000,
    about: "how long a draining node may take; then what is left moves although calls are in flight",
    read: readDuration,
  },
  drainPace: {
    flag: "drain-pace",
    argument: "<sessions>",
    fallback: 200,
    about: "how many sessions are handed over per second; more where the deadline needs it",
    read: readPace,
  },
  edgeDelay: {
    flag: "edge-delay",
    argument: "<duration>",
    fallback: 1_000,
    about: "for how long a node that stops passes requests on: until the edge has taken it out",
    read: readDuration,
  },
  parkAfter: {
    flag: "park-after",
    argument: "<duration>",
    fallback: 15 * 60_000,
    about: "after how long without use a session leaves memory, until its next request; 0: never",
    read: readDuration,
  },
  sessionIdle: {
    flag: "session-idle",
    argument: "<duration>",
    fallback: maxSessionIdleMs,
    about: "how long an unused session lives",
    read: readDuration,
  },
};

export const settingSpecs: readonly SettingSpec[] = Object.values(settingTable);
