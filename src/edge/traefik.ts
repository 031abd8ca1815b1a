import type { Affinity } from "../model/settings.ts";
import { failoverHeader, ownHeaders } from "./own-headers.ts";
import { priority, publishedRule, renderTraefikView, type TraefikFile } from "./traefik-view.ts";
import type { ClusterView } from "./view.ts";

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
  /** What clients are pinned by. */
  readonly affinity: readonly Affinity[];
  /** Where Traefik asks for the view, where it is not a file in the folder: `http://host:port/edge/traefik`. */
  readonly feed?: string | undefined;
  /** What Traefik shows where no certificate of its own fits. Without it Traefik makes one that no client trusts. */
  readonly certificate?: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** For how long Traefik takes new requests after SIGTERM, in seconds: 5 by default. */
  readonly acceptSeconds?: number | undefined;
  /** How long it then waits for open requests, in seconds: 30 by default. Give more than the longest call takes. */
  readonly finishSeconds?: number | undefined;
}

export interface TraefikConfiguration {
  /** What Traefik reads once, when it starts. */
  readonly static: TraefikFile;
  /** What is the same for every view. */
  readonly base: TraefikFile;
  /** What follows the cluster. */
  readonly view: TraefikFile;
}

/** Makes Traefik's configuration of the cluster's view. The same view and options always give the same files. */
export function renderTraefik(view: ClusterView, options: TraefikOptions): TraefikConfiguration {
  const entryPoints = entryPointNames(options);
  return {
    static: renderStatic(options),
    base: renderBase(options, entryPoints),
    view: renderTraefikView(view, { entryPoints, affinity: options.affinity }),
  };
}

/** The entry points that serve the cluster, by name. */
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
      // How long Traefik waits after one change before it takes up the next: two in a row are in effect within a second.
      // Much less would not pay: to rebuild the routes of a thousand nodes takes it some 100 ms.
      providersThrottleDuration: "250ms",
      file: { directory: options.directory, watch: true },
      ...(options.feed === undefined
        ? {}
        : { http: { endpoint: options.feed, pollInterval: "1s", pollTimeout: "5s" } }),
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
    http: { ...http, middlewares: ["strip-own-headers@file"], ...requestRules },
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
      middlewares: {
        "strip-own-headers": {
          headers: { customRequestHeaders: Object.fromEntries(ownHeaders.map((name) => [name, ""])) },
        },
        "mark-failover": { headers: { customRequestHeaders: { [failoverHeader]: "1" } } },
        // These repeat a request only where no connection came about: what a node may have read is never sent twice.
        // The owner's is the longer one: three refusals make it count as down, and the fallback follows.
        "redial-pool": { retry: { attempts: 3 } },
        "redial-owner": { retry: { attempts: 5 } },
      },
      routers: {
        none: { rule: publishedRule, priority: priority.none, entryPoints, service: "none" },
      },
      // A service without servers answers 503. Traefik's own 404 would tell MCP clients that their session is gone.
      services: { none: { loadBalancer: { servers: [] } } },
    },
  };
}
