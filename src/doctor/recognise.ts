import type { Head } from "./endpoint.ts";

/** The balancers that the doctor has lines for. */
export const balancers = ["traefik", "haproxy", "nginx"] as const;
export type Balancer = (typeof balancers)[number];

/** What stands between the doctor and the server, as far as it shows itself. */
export interface Surroundings {
  /** Empty where none was recognised. */
  readonly balancers: readonly Balancer[];
  /** As the answers name themselves: `Server: nginx/1.22.1`. */
  readonly names: readonly string[];
}

const nameHeaders = ["server", "via", "x-powered-by"];

/** Tells from headers and cookies what answers. HAProxy and Traefik show themselves by little else. */
export function recognise(heads: readonly Pick<Head, "headers" | "setCookies" | "errorText">[]): Surroundings {
  const names = new Set<string>();
  const found = new Set<Balancer>();
  for (const { headers, setCookies, errorText } of heads) {
    for (const name of nameHeaders) {
      const value = headers[name];
      if (value !== undefined) names.add(`${name[0]?.toUpperCase()}${name.slice(1)}: ${value}`);
    }
    const said = `${headers.server ?? ""} ${headers.via ?? ""}`.toLowerCase();
    for (const balancer of balancers) if (said.includes(balancer)) found.add(balancer);
    // Traefik's own names for a sticky cookie: `_` and five hexadecimal digits, or what Mooring gives it.
    if (setCookies.some((line) => /^(_[0-9a-f]{5}|_mcp_backend)=[0-9a-f]{16}(;|$)/.test(line))) found.add("traefik");
    if (setCookies.some((line) => /^SERVERID=/.test(line))) found.add("haproxy");
    if (/<h1>50\d .*<\/h1>\s*(No server is available|The server didn't respond)/.test(errorText)) found.add("haproxy");
    if (/<center>nginx(\/[\d.]+)?<\/center>/.test(errorText)) found.add("nginx");
    if (/^(404 page not found|no available server)\s*$/.test(errorText)) found.add("traefik");
  }
  return { balancers: balancers.filter((one) => found.has(one)), names: [...names].slice(0, 4) };
}
