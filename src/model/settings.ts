/**
 * The settings of a node: one table, from which come the command line's options, the environment variables
 * (`MOORING_…`), the fields of `createNode` and their documentation. Durations are milliseconds inside, and written as
 * `500ms`, `5s`, `15min`, `1h` outside.
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
export interface SettingSpec<K extends keyof Settings = keyof Settings> {
  readonly key: K;
  /** The option's name on the command line, without `--`. */
  readonly flag: string;
  /** How the value is shown in `--help`. */
  readonly argument: string;
  readonly fallback: Settings[K];
  readonly about: string;
  /** Reads a written value; throws a {@link SettingsError} that says what is accepted. */
  readonly read: (written: string, name: string) => Settings[K];
}

export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

function spec<K extends keyof Settings>(key: K, rest: Omit<SettingSpec<K>, "key">): SettingSpec {
  return { key, ...rest } as unknown as SettingSpec;
}

/** Reads one of a few words. */
function oneOf<T extends string>(...words: T[]): (written: string, name: string) => T {
  return (written, name) => {
    const found = words.find((word) => word === written);
    if (found === undefined) {
      throw new SettingsError(`${name} is "${written}". Give ${words.map((word) => `"${word}"`).join(" or ")}.`);
    }
    return found;
  };
}

function readList(written: string): string[] {
  return written
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function readBoolean(written: string, name: string): boolean {
  if (written === "true" || written === "1" || written === "on") return true;
  if (written === "false" || written === "0" || written === "off") return false;
  throw new SettingsError(`${name} is "${written}". Give "true" or "false".`);
}

function readPace(written: string, name: string): number {
  if (!/^\d+$/.test(written.trim())) {
    throw new SettingsError(`${name} is "${written}". Give a whole number of sessions per second, such as 200.`);
  }
  return Number(written);
}

const unitMs: Record<string, number> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads a duration into milliseconds: `500ms`, `5s`, `0.5s`, `15min`, `1h`, `30d`; a bare number is seconds. */
export function readDuration(written: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min|h|d)?$/.exec(written.trim());
  if (match === null) {
    throw new SettingsError(`${name} is "${written}". Give a duration such as 500ms, 5s, 15min or 1h.`);
  }
  return Math.round(Number(match[1]) * (unitMs[match[2] ?? "s"] as number));
}

/** Writes milliseconds as {@link readDuration} reads them, in the largest unit that they are a whole number of. */
export function writeDuration(ms: number): string {
  const unit = Object.keys(unitMs).findLast((name) => ms !== 0 && ms % (unitMs[name] as number) === 0) ?? "ms";
  return ms === 0 ? "0" : `${ms / (unitMs[unit] as number)}${unit}`;
}

function readAffinity(written: string, name: string): Affinity[] {
  const kinds = readList(written).map((item) => oneOf<Affinity>("session-id", "cookie")(item, name));
  if (kinds.length === 0) throw new SettingsError(`${name} is empty. Give "session-id", "cookie" or both.`);
  return [...new Set(kinds)];
}

function readPeerUrl(written: string, name: string): string {
  if (!/^http:\/\/[^/]+\/?$/.test(written) || !URL.canParse(written)) {
    throw new SettingsError(`${name} is "${written}". Give an address such as http://10.0.0.7:7001.`);
  }
  return written;
}

function readPeerSecret(written: string, name: string): string {
  if (written.length < 16)
    throw new SettingsError(`${name} is too short. Give at least 16 characters, the same to each node.`);
  return written;
}

function readNamespace(written: string, name: string): string {
  if (!/^[\w.-]{0,64}$/.test(written)) {
    throw new SettingsError(`${name} is "${written}". Give up to 64 letters, digits, ".", "_" or "-".`);
  }
  return written;
}

/** Redis keeps an unused session so long, and no longer. */
const maxSessionIdleMs = 30 * 24 * 60 * 60_000;

export const settingSpecs: readonly SettingSpec[] = [
  spec("namespace", {
    flag: "namespace",
    argument: "<name>",
    fallback: "",
    about: "several clusters on one Redis: begins each key",
    read: readNamespace,
  }),
  spec("policy", {
    flag: "policy",
    argument: "<resume|reject>",
    fallback: "resume",
    about: "what becomes of the sessions of a dead node: adopted where their next request lands, or ended",
    read: oneOf("resume", "reject"),
  }),
  spec("hold", {
    flag: "hold",
    argument: "<duration>",
    fallback: 10_000,
    about: "how long a request waits while nobody knows yet who owns its session",
    read: readDuration,
  }),
  spec("durability", {
    flag: "durability",
    argument: "<available|strict>",
    fallback: "available",
    about:
      "while Redis is away from all nodes: answer without keeping what changed, or wait for the hold time and fail",
    read: oneOf("available", "strict"),
  }),
  spec("ledger", {
    flag: "ledger",
    argument: "<relaxed|strict>",
    fallback: "relaxed",
    about: "which calls are noted before they run: those that take over 20 ms, or each that is not marked repeatable",
    read: oneOf("relaxed", "strict"),
  }),
  spec("relay", {
    flag: "relay",
    argument: "<on|off>",
    fallback: "on",
    about: "whether a misrouted request is passed on to the session's owner",
    read: oneOf("on", "off"),
  }),
  spec("affinity", {
    flag: "affinity",
    argument: "<kinds>",
    fallback: ["session-id", "cookie"],
    about: "what the edge pins clients by: session-id, cookie, or both separated by a comma",
    read: readAffinity,
  }),
  spec("answers", {
    flag: "answers",
    argument: "<sse|json>",
    fallback: "sse",
    about: "how a quick answer is written; a longer one is always a stream of events",
    read: oneOf("sse", "json"),
  }),
  spec("allowOrigin", {
    flag: "allow-origin",
    argument: "<origins>",
    fallback: [],
    about: "origins that may call from a browser, separated by commas",
    read: readList,
  }),
  spec("allowHost", {
    flag: "allow-host",
    argument: "<hosts>",
    fallback: [],
    about: "host names that a listener on loopback accepts, separated by commas",
    read: readList,
  }),
  spec("trustProxy", {
    flag: "trust-proxy",
    argument: "<true|false>",
    fallback: false,
    about: "believe X-Forwarded-Host; only behind a proxy that sets it",
    read: readBoolean,
  }),
  spec("admin", {
    flag: "admin",
    argument: "<host:port|off>",
    fallback: "127.0.0.1:0",
    about: "where health, metrics and the operators' API listen",
    read: (written) => written,
  }),
  spec("peerUrl", {
    flag: "peer-url",
    argument: "<url>",
    fallback: "",
    about: "where other nodes reach this one's peer link; default: a free port on the node's own host",
    read: readPeerUrl,
  }),
  spec("peerDirect", {
    flag: "peer-direct",
    argument: "<true|false>",
    fallback: false,
    about:
      "the peer link's address is the node's own, no Service or NAT between: a refused connection proves its death",
    read: readBoolean,
  }),
  spec("peerSecret", {
    flag: "peer-secret",
    argument: "<secret>",
    fallback: "",
    about: "what nodes prove by that they belong together; default: a secret that they share in Redis",
    read: readPeerSecret,
  }),
  spec("probe", {
    flag: "probe",
    argument: "<duration>",
    fallback: 500,
    about: "for how long a sign of life of another node is believed before a relay",
    read: readDuration,
  }),
  spec("lease", {
    flag: "lease",
    argument: "<duration>",
    fallback: 5_000,
    about: "for how long a node counts as up without a sign of life",
    read: readDuration,
  }),
  spec("renew", {
    flag: "renew",
    argument: "<duration>",
    fallback: 1_000,
    about: "how often a node gives a sign of life",
    read: readDuration,
  }),
  spec("drainDeadline", {
    flag: "drain-deadline",
    argument: "<duration>",
    fallback: 30_000,
    about: "how long a draining node may take; then what is left moves although calls are in flight",
    read: readDuration,
  }),
  spec("drainPace", {
    flag: "drain-pace",
    argument: "<sessions>",
    fallback: 200,
    about: "how many sessions are handed over per second; more where the deadline needs it",
    read: readPace,
  }),
  spec("edgeDelay", {
    flag: "edge-delay",
    argument: "<duration>",
    fallback: 1_000,
    about: "for how long a node that stops passes requests on: until the edge has taken it out",
    read: readDuration,
  }),
  spec("parkAfter", {
    flag: "park-after",
    argument: "<duration>",
    fallback: 15 * 60_000,
    about: "after how long without use a session leaves memory, until its next request; 0: never",
    read: readDuration,
  }),
  spec("sessionIdle", {
    flag: "session-idle",
    argument: "<duration>",
    fallback: maxSessionIdleMs,
    about: "how long an unused session lives",
    read: readDuration,
  }),
];

/** The environment variable of a setting: `allow-origin` is `MOORING_ALLOW_ORIGIN`. */
export function environmentName(flag: string): string {
  return `MOORING_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** What somebody wrote: options of the command line by flag; whatever is absent comes from the environment. */
export type WrittenSettings = Readonly<Record<string, string | undefined>>;

/** Reads settings from the command line, then the environment, then the defaults, and checks their relations. */
export function readSettings(written: WrittenSettings, environment: WrittenSettings): Settings {
  const values: Record<string, unknown> = {};
  for (const setting of settingSpecs) {
    const variable = environmentName(setting.flag);
    const byFlag = written[setting.flag];
    const byVariable = environment[variable];
    if (byFlag !== undefined) {
      values[setting.key] = setting.read(byFlag, `--${setting.flag}`);
    } else if (byVariable !== undefined && byVariable !== "") {
      values[setting.key] = setting.read(byVariable, variable);
    }
  }
  return completeSettings(values as Partial<Settings>);
}

/** Puts the defaults where nothing was given, and checks the relations between settings. */
export function completeSettings(given: Partial<Settings>): Settings {
  const settings: Record<string, unknown> = {};
  for (const { key, fallback } of settingSpecs) {
    settings[key] = given[key] ?? fallback;
  }
  const complete = settings as unknown as Settings;
  // Nobody asked for parking: then a short session-idle is no contradiction, sessions end before they would be parked.
  if (given.parkAfter === undefined && complete.parkAfter >= complete.sessionIdle) settings.parkAfter = 0;
  checkRelations(complete);
  return complete;
}

const minRenewMs = 50;
const maxRenewMs = 60 * 60_000;
const maxHoldMs = 5 * 60_000;
const maxEdgeDelayMs = 5 * 60_000;
const maxDrainDeadlineMs = 60 * 60_000;

/** Throws a {@link SettingsError} that names both settings when two of them contradict each other. */
function checkRelations(settings: Settings): void {
  const { lease, renew, hold, edgeDelay, drainDeadline, drainPace, parkAfter, sessionIdle } = settings;
  // Asked so that NaN, which compares false with everything, is refused too.
  if (!(renew >= minRenewMs && renew <= maxRenewMs)) {
    throw new SettingsError(
      `renew is ${renew} ms: give 50 ms to 1 h. Each node writes to Redis so often, and is missed no sooner.`,
    );
  }
  if (!(lease >= 2 * renew)) {
    throw new SettingsError(
      `lease (${lease} ms) must be at least twice renew (${renew} ms), or one lost renewal makes a healthy node count as gone. Raise lease or lower renew.`,
    );
  }
  if (!(hold >= 0 && hold <= maxHoldMs)) {
    throw new SettingsError(`hold is ${hold} ms: give 0 to 5min. Clients and proxies give up on longer waits.`);
  }
  if (!(drainDeadline >= 0 && drainDeadline <= maxDrainDeadlineMs)) {
    throw new SettingsError(
      `drain-deadline is ${drainDeadline} ms: give 0 to 1h. A node that stops takes so long, and its supervisor has to wait for longer.`,
    );
  }
  if (!(edgeDelay >= 0 && edgeDelay <= maxEdgeDelayMs)) {
    throw new SettingsError(`edge-delay is ${edgeDelay} ms: give 0 to 5min. A node that stops waits so long, twice.`);
  }
  if (!(drainPace >= 1)) {
    throw new SettingsError(`drain-pace is ${drainPace}: give at least 1 session per second.`);
  }
  if (!(sessionIdle > 0 && sessionIdle <= maxSessionIdleMs)) {
    throw new SettingsError(
      `session-idle is ${sessionIdle} ms: give up to 30d. The registry forgets an unused session after that.`,
    );
  }
  if (!(parkAfter >= 0 && parkAfter < sessionIdle)) {
    throw new SettingsError(
      `park-after (${parkAfter} ms) must be shorter than session-idle (${sessionIdle} ms), or sessions end before they leave memory. Lower park-after or raise session-idle; a park-after of 0 keeps all in memory.`,
    );
  }
}
