import { SettingsError } from "../../model/settings-error.ts";

/** Where one Redis server or Sentinel listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a Redis URL asks for. */
export type RedisTarget = (
  | { readonly kind: "server"; readonly address: Address }
  | { readonly kind: "sentinel"; readonly sentinels: readonly Address[]; readonly primary: string }
  | { readonly kind: "cluster"; readonly seeds: readonly Address[] }
) & {
  readonly tls: boolean;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database: number;
  /** The URL without user name and password, for logs and errors. */
  readonly shown: string;
};

const forms =
  "Give redis://[user:password@]host[:port][/database], redis+sentinel://[user:password@]host:port,…/<primary>[/database] or redis+cluster://[user:password@]host:port,…; rediss for TLS.";

const shape =
  /^(?<scheme>rediss?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<user>[^/?#]*)@)?(?<hosts>[^/?#@]*)(?:\/(?<path>[^?#]*))?$/;

/** Takes a Redis URL apart; throws a {@link SettingsError} that says what is wrong and never repeats the password. */
export function parseRedisUrl(url: string): RedisTarget {
  const groups = shape.exec(url)?.groups;
  if (groups === undefined) {
    throw new SettingsError(`The Redis URL ${withoutCredentials(url)} is not of a known form. ${forms}`);
  }
  const { scheme, kind, user, hosts = "", path = "" } = groups;
  const shown = withoutCredentials(url);
  const fail = (why: string): never => {
    throw new SettingsError(`The Redis URL ${shown} ${why}. ${forms}`);
  };
  const common = { tls: scheme === "rediss", ...readUser(user, fail), shown };
  const segments = path === "" ? [] : path.split("/");

  if (kind === "sentinel") {
    const [primary = "", database, ...rest] = segments;
    if (primary === "") fail("does not name the primary that the Sentinels watch");
    if (rest.length > 0) fail("has too many parts after the primary's name");
    const sentinels = readHosts(hosts, 26379, fail);
    return { kind, sentinels, primary: decode(primary, fail), ...common, database: readDatabase(database, fail) };
  }
  if (kind === "cluster") {
    if (segments.some((segment) => segment !== "" && segment !== "0")) {
      fail("names a database, but Redis Cluster has only number 0");
    }
    return { kind, seeds: readHosts(hosts, 6379, fail), ...common, database: 0 };
  }
  if (hosts.includes(",")) fail("names several hosts, which only redis+sentinel:// and redis+cluster:// take");
  if (segments.length > 1) fail("has more than a database number behind the host");
  const [address] = readHosts(hosts === "" ? "127.0.0.1" : hosts, 6379, fail) as [Address];
  return { kind: "server", address, ...common, database: readDatabase(segments[0], fail) };
}

/** Writes an address as in a URL. */
export function showAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

type Fail = (why: string) => never;

function withoutCredentials(url: string): string {
  return url.replace(/\/\/.*@/, "//");
}

function readUser(user: string | undefined, fail: Fail): { username?: string; password?: string } {
  if (user === undefined || user === "") return {};
  const colon = user.indexOf(":");
  const username = decode(colon < 0 ? user : user.slice(0, colon), fail);
  const password = colon < 0 ? "" : decode(user.slice(colon + 1), fail);
  if (password === "") fail("has a user name without a password");
  return username === "" ? { password } : { username, password };
}

function readHosts(hosts: string, defaultPort: number, fail: Fail): Address[] {
  return hosts.split(",").map((written) => {
    const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d+))?$/.exec(written);
    const host = match?.groups?.v6 ?? match?.groups?.name;
    const port = Number(match?.groups?.port ?? defaultPort);
    if (host === undefined || port < 1 || port > 65_535) return fail(`has no valid host and port in "${written}"`);
    return { host, port };
  });
}

function readDatabase(written: string | undefined, fail: Fail): number {
  if (written === undefined || written === "") return 0;
  return /^\d{1,5}$/.test(written) ? Number(written) : fail(`names the database "${written}", which is no number`);
}

function decode(written: string, fail: Fail): string {
  try {
    return decodeURIComponent(written);
  } catch {
    return fail("has a % that is not the start of a percent-encoded character; write % itself as %25");
  }
}
