import type { TraefikFile } from "./traefik-view.ts";

interface Router {
  readonly rule?: unknown;
  readonly service?: unknown;
  readonly entryPoints?: readonly string[];
}

interface Service {
  readonly loadBalancer?: { readonly servers?: readonly { readonly url?: unknown }[]; readonly healthCheck?: unknown };
  readonly failover?: { readonly service?: unknown; readonly fallback?: unknown };
}

/** The parts of a rendered view that are checked and read back. */
export interface WrittenFile {
  readonly http: {
    readonly routers?: Readonly<Record<string, Router>>;
    readonly services?: Readonly<Record<string, Service>>;
  };
}

/**
 * Says what would make Traefik drop routes of a rendered view, or undefined. It takes an incomplete view without a
 * word to whoever wrote it, and an empty one wipes every route: such a view never leaves.
 */
export function viewProblem(file: TraefikFile): string | undefined {
  const { routers = {}, services = {} } = (file as unknown as Partial<WrittenFile>).http ?? {};
  for (const name of ["mcp", "default"]) {
    if (!Object.hasOwn(routers, name)) return `the view has no router ${name}`;
  }
  for (const [name, { rule, service }] of Object.entries(routers)) {
    if (typeof rule !== "string" || rule === "") return `router ${name} has no rule`;
    if (!Object.hasOwn(services, String(service))) return `router ${name} leads to ${service}, which is not there`;
  }
  for (const [name, { loadBalancer, failover }] of Object.entries(services)) {
    const malformed = loadBalancer?.servers?.find(({ url }) => !URL.canParse(String(url)));
    if (malformed !== undefined) return `service ${name} has a server at "${malformed.url}", which is no address`;
    for (const leg of failover === undefined ? [] : [failover.service, failover.fallback]) {
      if (services[String(leg)]?.loadBalancer?.healthCheck === undefined) {
        return `service ${name} fails over by health checks, and ${leg} has none`;
      }
    }
  }
  return undefined;
}
