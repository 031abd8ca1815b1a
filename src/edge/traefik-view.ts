import type { Affinity } from "../model/settings.ts";
import { type ClusterView, type EdgeNode, pinnedOf, poolOf } from "./view.ts";

/** One file of Traefik's configuration, as plain data. */
export type TraefikFile = Readonly<Record<string, unknown>>;

/** How a view is rendered for one Traefik. */
export interface TraefikViewOptions {
  /** The names of the entry points that serve the cluster. Without them: Traefik's default ones. */
  readonly entryPoints?: readonly string[] | undefined;
  /** What clients are pinned by. */
  readonly affinity: readonly Affinity[];
}

/** The name and attributes of the cookie that keeps a client at the node that opened its session. */
export const stickyCookie = { name: "_mcp_backend", httpOnly: true, secure: true, sameSite: "strict", path: "/mcp" };

/** PathPrefix(`/mcp`) alone would also take `/mcpfoo`, which belongs to the app. */
const mcpRule = "Path(`/mcp`) || PathPrefix(`/mcp/`)";

/**
 * Every path but the one that is only for health checks. Where no router matches, Traefik answers 404: right for
 * `/livez`, where a 503 would read as an outage.
 */
export const publishedRule = "PathPrefix(`/`) && !Path(`/livez`)";

/** Written out, because Traefik's own priority is the length of the rule. */
export const priority = { pin: 2000, mcp: 1000, app: 10, none: 1 };

/**
 * Every check is answered by the serving port. Traefik asks that the timeout be shorter than the interval. What all
 * checks together cost a node is three small requests a second.
 *
 * After one missed check of the fallback there is nothing behind it but a 503, while one node drains perhaps and the
 * other has just started: so a node that is only slow gets longer there, and is looked at again soon.
 */
const checks = {
  pool: { path: "/livez", interval: "1s", timeout: "900ms" },
  owner: { path: "/livez", interval: "2s", timeout: "1s" },
  fallback: { path: "/livez", interval: "5s", unhealthyInterval: "1s", timeout: "3s" },
};

/**
 * The part of Traefik's configuration that follows the cluster. What it takes from `base` is named with its provider,
 * so that the view may also come over HTTP.
 */
export function renderTraefikView(view: ClusterView, options: TraefikViewOptions): TraefikFile {
  const router = (rule: string, level: number, service: string): TraefikFile => ({
    rule,
    priority: level,
    ...(options.entryPoints === undefined ? {} : { entryPoints: options.entryPoints }),
    service,
  });
  const pool = poolOf(view);
  const pins = options.affinity.includes("session-id") ? pinnedOf(view) : [];
  const routers: Record<string, TraefikFile> = {
    mcp: router(mcpRule, priority.mcp, "mcp"),
    default: router(publishedRule, priority.app, "app"),
  };
  const services: Record<string, TraefikFile> = {
    mcp: poolService(pool, options.affinity.includes("cookie") ? { sticky: { cookie: stickyCookie } } : {}),
    app: poolService(pool, {}),
  };
  if (pins.length > 0) services[fallbackService] = fallback(pool);
  for (const node of pins) {
    for (const tag of [node.tag, ...(node.inherits ?? [])]) {
      routers[`pin-${tag}`] = router(pinRule(tag), priority.pin, `pin-${node.tag}`);
    }
    services[`pin-${node.tag}`] = pin(node);
    services[`own-${node.tag}`] = owner(node);
  }
  return { http: { routers, services } };
}

const fallbackService = "mcp-fallback";

/** The tag is the first part of a session id. */
function pinRule(tag: string): string {
  return `(${mcpRule}) && HeaderRegexp(\`Mcp-Session-Id\`, \`^${tag}\\.\`)`;
}

function poolService(pool: readonly EdgeNode[], affinity: Record<string, unknown>): TraefikFile {
  return {
    middlewares: ["redial-pool@file"],
    loadBalancer: {
      serversTransport: "node@file",
      ...affinity,
      servers: pool.map(({ url }) => ({ url })),
      healthCheck: checks.pool,
    },
  };
}

/**
 * The owner, and the pool for what the owner can't be given. `failover.errors` would send a request again that a dying
 * node has read; this form sends on only what no node got: a refused connection is dialled again, three refusals make
 * the owner count as down within the same request, and a node that is down is passed over.
 */
function pin({ tag }: EdgeNode): TraefikFile {
  return {
    middlewares: ["redial-owner@file"],
    failover: { service: `own-${tag}`, fallback: fallbackService, healthCheck: {} },
  };
}

/** Passive checks count every answer of 5xx: after fewer than three, a single 503 would move all sessions of a node. */
function owner({ url }: EdgeNode): TraefikFile {
  return {
    loadBalancer: {
      serversTransport: "node@file",
      servers: [{ url }],
      passiveHealthCheck: { maxFailedAttempts: 3, failureWindow: "2s" },
      healthCheck: checks.owner,
    },
  };
}

/** Without a health check here, or at the owner, Traefik drops the router that fails over. */
function fallback(pool: readonly EdgeNode[]): TraefikFile {
  return {
    middlewares: ["mark-failover@file", "redial-pool@file"],
    loadBalancer: {
      serversTransport: "node@file",
      servers: pool.map(({ url }) => ({ url })),
      healthCheck: checks.fallback,
    },
  };
}
