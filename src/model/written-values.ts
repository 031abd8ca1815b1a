import { SettingsError } from "./settings-error.ts";

/**
 * Values as people write them. Each reader is given what was written, and by which name (an option or a variable); it
 * throws a {@link SettingsError} with that name and what is accepted.
 */

/** Reads one of a few words. */
export function oneOf<T extends string>(...words: T[]): (written: string, name: string) => T {
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

/** A browser sends an origin without a path: one written with it would match nothing, and nobody would learn why. */
export function readOrigins(written: string, name: string): string[] {
  return readList(written).map((origin) => {
    if (origin === "*" || origin === "null" || /^[a-z][a-z0-9+.-]*:\/\/[^/]+$/i.test(origin)) return origin;
    throw new SettingsError(`${name} has "${origin}". Give origins without a path, such as https://app.example.org.`);
  });
}

export function readHosts(written: string, name: string): string[] {
  return readList(written).map((host) => {
    if (/^[^/]+$/.test(host)) return host;
    throw new SettingsError(`${name} has "${host}". Give host names alone, such as mcp.example.org.`);
  });
}

export function readBoolean(written: string, name: string): boolean {
  if (written === "true" || written === "1" || written === "on") return true;
  if (written === "false" || written === "0" || written === "off") return false;
  throw new SettingsError(`${name} is "${written}". Give "true" or "false".`);
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

/** Reads one or both of two words, separated by a comma. */
export function oneOrBoth<T extends string>(one: T, other: T): (written: string, name: string) => T[] {
  return (written, name) => {
    const words = readList(written).map((item) => oneOf(one, other)(item, name));
    if (words.length === 0) throw new SettingsError(`${name} is empty. Give "${one}", "${other}" or both.`);
    return [...new Set(words)];
  };
}

export function readPace(written: string, name: string): number {
  if (!/^\d+$/.test(written.trim())) {
    throw new SettingsError(`${name} is "${written}". Give a whole number of sessions per second, such as 200.`);
  }
  return Number(written);
}

export function readPeerUrl(written: string, name: string): string {
  if (!/^http:\/\/[^/]+\/?$/.test(written) || !URL.canParse(written)) {
    throw new SettingsError(`${name} is "${written}". Give an address such as http://10.0.0.7:7001.`);
  }
  return written;
}

export function readPeerSecret(written: string, name: string): string {
  if (written.length < 16)
    throw new SettingsError(`${name} is too short. Give at least 16 characters, the same to each node.`);
  return written;
}

export function readNamespace(written: string, name: string): string {
  if (!/^[\w.-]{0,64}$/.test(written)) {
    throw new SettingsError(`${name} is "${written}". Give up to 64 letters, digits, ".", "_" or "-".`);
  }
  return written;
}
