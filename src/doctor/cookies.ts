/** A cookie as a server set it. */
export interface Cookie {
  readonly name: string;
  readonly value: string;
  /** As written; undefined where the server left it to the client. */
  readonly path: string | undefined;
  readonly domain: string | undefined;
  readonly secure: boolean;
  readonly httpOnly: boolean;
  readonly sameSite: "strict" | "lax" | "none" | undefined;
}

/** Reads a Set-Cookie header; undefined for one that is none. */
export function parseSetCookie(line: string): Cookie | undefined {
  const [pair = "", ...attributes] = line.split(";");
  const equals = pair.indexOf("=");
  if (equals < 1) return undefined;
  const given = new Map<string, string>();
  for (const attribute of attributes) {
    const [name = "", ...value] = attribute.split("=");
    given.set(name.trim().toLowerCase(), value.join("=").trim());
  }
  const sameSite = given.get("samesite")?.toLowerCase();
  return {
    name: pair.slice(0, equals).trim(),
    value: pair.slice(equals + 1).trim(),
    path: given.get("path") || undefined,
    domain: given.get("domain") || undefined,
    secure: given.has("secure"),
    httpOnly: given.has("httponly"),
    sameSite: sameSite === "strict" || sameSite === "lax" || sameSite === "none" ? sameSite : undefined,
  };
}

/** The path for which a cookie without one is kept (RFC 6265, 5.1.4). */
export function defaultPath(of: string): string {
  const end = of.lastIndexOf("/");
  return end <= 0 ? "/" : of.slice(0, end);
}

/** Whether a cookie of a path is sent with a request for another (RFC 6265, 5.1.4). */
export function pathMatches(request: string, cookie: string): boolean {
  return request === cookie || (request.startsWith(cookie) && (cookie.endsWith("/") || request[cookie.length] === "/"));
}

/** The cookies of one endpoint, kept as a client with a jar keeps them. */
export class CookieJar {
  readonly #cookies = new Map<string, Cookie>();

  note(lines: readonly string[]): void {
    for (const line of lines) {
      const cookie = parseSetCookie(line);
      if (cookie !== undefined) this.#cookies.set(cookie.name, cookie);
    }
  }

  /** Whether there is any that is sent to the address. */
  sends(url: URL): boolean {
    return this.header(url) !== undefined;
  }

  /** The Cookie header of a request: a Secure cookie travels over https only. */
  header(url: URL): string | undefined {
    const sent = [...this.#cookies.values()].filter(
      ({ path, secure }) =>
        (!secure || url.protocol === "https:") && pathMatches(url.pathname, path ?? defaultPath(url.pathname)),
    );
    return sent.length === 0 ? undefined : sent.map(({ name, value }) => `${name}=${value}`).join("; ");
  }
}
