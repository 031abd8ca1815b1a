import type { TraefikFile } from "./traefik-view.ts";
import type { WrittenFile } from "./view-problem.ts";

/** What Traefik tells of a router or a service. */
interface TraefikItem {
  readonly name: string;
  readonly status: string;
  readonly provider?: string;
  readonly error?: readonly string[];
  readonly entryPoints?: readonly string[];
  readonly loadBalancer?: { readonly servers?: readonly { readonly url: string }[] };
}

const answerDeadlineMs = 1_000;

/**
 * How what Traefik does differs from what was written, or undefined: a router that it drops is told nowhere else.
 *
 * @param api the address of Traefik's API, without a path
 */
export async function readBack(
  api: string,
  provider: "file" | "http",
  written: readonly TraefikFile[],
): Promise<string | undefined> {
  try {
    const [routers, services] = [await read(api, "routers"), await read(api, "services")];
    return differenceOf(provider, written as unknown as readonly WrittenFile[], routers, services);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return `its API at ${api} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

async function read(api: string, kind: "routers" | "services"): Promise<readonly TraefikItem[]> {
  const response = await fetch(new URL(`/api/http/${kind}?per_page=100000`, api), {
    signal: AbortSignal.timeout(answerDeadlineMs),
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return (await response.json()) as TraefikItem[];
}

/** The first difference between what was written and what Traefik tells. */
function differenceOf(
  provider: string,
  written: readonly WrittenFile[],
  routers: readonly TraefikItem[],
  services: readonly TraefikItem[],
): string | undefined {
  const disabled = [...routers, ...services].find((item) => item.provider === provider && item.status !== "enabled");
  if (disabled !== undefined) {
    return `${disabled.name} is ${disabled.status}: ${disabled.error?.join(", ") ?? "no reason given"}`;
  }
  const routed = entryPointsOf(routers);
  const shown = new Map(services.map((service) => [service.name, service]));
  for (const { http } of written) {
    for (const [name, { entryPoints = [] }] of Object.entries(http.routers ?? {})) {
      const served = routed.get(`${name}@${provider}`);
      if (served === undefined) return `it has no router ${name}`;
      // The former view's routers have the same names.
      const lacking = entryPoints.find((entryPoint) => !served.has(entryPoint));
      if (lacking !== undefined) return `router ${name} does not serve the entry point ${lacking}`;
    }
    for (const [name, { loadBalancer }] of Object.entries(http.services ?? {})) {
      const service = shown.get(`${name}@${provider}`);
      if (service === undefined) return `it has no service ${name}`;
      const [wanted, told] = [serversOf(loadBalancer), serversOf(service.loadBalancer)];
      if (wanted !== told) return `the servers of ${name} are ${told || "none"} instead of ${wanted || "none"}`;
    }
  }
  return undefined;
}

/** Which entry points each router serves, by its name. */
function entryPointsOf(routers: readonly TraefikItem[]): Map<string, Set<string>> {
  const served = new Map<string, Set<string>>();
  for (const router of routers) {
    for (const name of namesOf(router)) {
      served.set(name, new Set([...(served.get(name) ?? []), ...(router.entryPoints ?? [])]));
    }
  }
  return served;
}

/** Entry points that differ in their defaults get a router each, named after both. */
function namesOf({ name, entryPoints = [] }: TraefikItem): string[] {
  const prefix = entryPoints.find((entryPoint) => name.startsWith(`${entryPoint}-`));
  return prefix === undefined ? [name] : [name, name.slice(prefix.length + 1)];
}

function serversOf(loadBalancer: { readonly servers?: readonly { readonly url?: unknown }[] } | undefined): string {
  return (loadBalancer?.servers ?? [])
    .map(({ url }) => String(url))
    .sort()
    .join(", ");
}
