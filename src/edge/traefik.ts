import type { ClusterView, EdgeNode } from "./view.ts";

/** Where Traefik listens, and where it finds its files. */
export interface TraefikOptions {
  /** The address for plain HTTP, such as `:8080`; without it there is none. */
  readonly web?: string | undefined;
  /** The address for HTTPS, such as `:8443`; without it there is none. */
  readonly websecure?: string | undefined;
  /** The address for ping and for reading the routers back. It is not protected: keep it on loopback. */
  readonly api: string;
  /** The folder that Traefik watches; `base` and `view` are files in it. It has to exist before Traefik starts. */
  readonly directory: string;
  /** What Traefik shows where no certificate of its own fits. Without it Traefik makes one that no client trusts. */
  readonly certificate?: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** For how long Traefik takes new requests after SIGTERM, in seconds: 5 by default. */
  readonly acceptSeconds?: number | undefined;
  /** How long it then waits for open requests, in seconds: 30 by default. Give more than the longest call takes. */
  readonly finishSeconds?: number | undefined;
}

/** One file of Traefik's configuration, as plain data. */
export type TraefikFile = Readonly<Record<string, unknown>>;

export interface TraefikConfiguration {
  /** What Traefik reads once, when it starts. */
  readonly static: TraefikFile;
  /** What is the same for every view. */
  readonly base: TraefikFile;
  /** What follows the cluster. */
  readonly view: TraefikFile;
}

/** The name and attributes of the cookie that keeps a client at the node that opened its session. */
const stickyCookie = { name: "_mcp_backend", httpOnly: true, secure: true, sameSite: "strict", path: "/mcp" };

/** PathPrefix(`/mcp`) alone would also take `/mcpfoo`, which belongs to the app. */
const mcpRule = "Path(`/mcp`) || PathPrefix(`/mcp/`)";

/**
 * Every path but the one that is only for health checks. Where no router matches, Traefik answers 404: right for
 * `/livez`, where a 503 would read as an outage.
 */
const publishedRule = "PathPrefix(`/`) && !Path(`/livez`)";

/** Written out, because Traefik's own priority is the length of the rule. */
const priority = { mcp: 1000, app: 10, none: 1 };

/**
 * Every check is answered by the serving port. Traefik asks that the timeout be shorter than the interval. What the
 * checks cost is two small requests a second and node.
 */
const healthCheck = { path: "/livez", interval: "1s", timeout: "900ms" };

/** Makes Traefik's configuration of the cluster's view. The same view and options always give the same files. */
export function renderTraefik(view: ClusterView, options: TraefikOptions): TraefikConfiguration {
  const entryPoints = entryPointNames(options);
  return {
    static: renderStatic(options),
    base: renderBase(options, entryPoints),
    view: renderView(view, entryPoints),
  };
}

function entryPointNames(options: TraefikOptions): string[] {
  const names = (["web", "websecure"] as const).filter((name) => options[name] !== undefined);
  if (names.length === 0) {
    throw new Error("Traefik has nowhere to listen: neither an HTTP nor an HTTPS address is given. Give one of them.");
  }
  return names;
}

function renderStatic(options: TraefikOptions): TraefikFile {
  const entryPoints: Record<string, unknown> = {};
  if (options.web !== undefined) {
    entryPoints.web = entryPoint(options.web, options, {});
  }
  if (options.websecure !== undefined) {
    entryPoints.websecure = entryPoint(options.websecure, options, { tls: {} });
  }
  entryPoints.traefik = { address: options.api, http: requestRules };
  return {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: "WARN", format: "json" },
    ping: {},
    api: { insecure: true, dashboard: false },
    entryPoints,
    providers: {
      providersThrottleDuration: "500ms",
      file: { directory: options.directory, watch: true },
    },
  };
}

const requestRules = {
  /** `Mcp_Session_Id` and the like never reach a node, where a framework could take them for the real header. */
  aliasHeadersStrategy: "delete",
  /** No path needs an encoded null or backslash. The others are in use: `%2F` stands in the ids of many an app. */
  encodedCharacters: {
    allowEncodedNullCharacter: false,
    allowEncodedBackslash: false,
    allowEncodedSlash: true,
    allowEncodedSemicolon: true,
    allowEncodedPercent: true,
    allowEncodedQuestionMark: true,
    allowEncodedHash: true,
  },
};

function entryPoint(address: string, options: TraefikOptions, http: Record<string, unknown>): TraefikFile {
  return {
    address,
    http: { ...http, ...requestRules },
    transport: {
      // A stream may last for days: only the reading of a request has a limit.
      respondingTimeouts: { readTimeout: "60s", writeTimeout: "0s", idleTimeout: "180s" },
      lifeCycle: {
        requestAcceptGraceTimeout: `${options.acceptSeconds ?? 5}s`,
        graceTimeOut: `${options.finishSeconds ?? 30}s`,
      },
    },
  };
}

function renderBase(options: TraefikOptions, entryPoints: readonly string[]): TraefikFile {
  const { certificate } = options;
  return {
    ...(certificate === undefined ? {} : { tls: { stores: { default: { defaultCertificate: { ...certificate } } } } }),
    http: {
      serversTransports: {
        // A node keeps an idle connection for 75 s. Traefik has to be the first to close it: a request sent into a
        // connection that the node is just closing would get a 502.
        node: { forwardingTimeouts: { dialTimeout: "1s", idleConnTimeout: "60s" } },
      },
      // Repeats a request only where no connection came about: what a node may have read is never sent twice.
      middlewares: { redial: { retry: { attempts: 3 } } },
      routers: {
        none: { rule: publishedRule, priority: priority.none, entryPoints, service: "none" },
      },
      // A service without servers answers 503. Traefik's own 404 would tell MCP clients that their session is gone.
      services: { none: { loadBalancer: { servers: [] } } },
    },
  };
}

function renderView(view: ClusterView, entryPoints: readonly string[]): TraefikFile {
  const pool = poolOf(view);
  return {
    http: {
      routers: {
        mcp: { rule: mcpRule, priority: priority.mcp, entryPoints, service: "mcp" },
        default: { rule: publishedRule, priority: priority.app, entryPoints, service: "app" },
      },
      services: {
        mcp: poolService(pool, { sticky: { cookie: stickyCookie } }),
        app: poolService(pool, {}),
      },
    },
  };
}

/** The nodes that take new clients, in an order that does not depend on who told of them first. */
function poolOf(view: ClusterView): EdgeNode[] {
  return view.nodes.filter((node) => node.state === "up").sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What the view takes from `base` is named with its provider, so that the view may also come over HTTP. */
function poolService(pool: readonly EdgeNode[], affinity: Record<string, unknown>): TraefikFile {
  return {
    middlewares: ["redial@file"],
    loadBalancer: {
      serversTransport: "node@file",
      ...affinity,
      servers: pool.map((node) => ({ url: node.url })),
      healthCheck,
    },
  };
}
