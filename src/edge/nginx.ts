import { type BalancerOptions, commentOf, hostAndPort } from "./balancer-options.ts";
import { heirOf } from "./heir.ts";
import { ownHeaders } from "./own-headers.ts";
import { stickyCookie } from "./traefik-view.ts";
import { type ClusterView, type EdgeNode, pinnedOf, poolOf } from "./view.ts";

/**
 * Makes the configuration of open-source nginx (1.22 and later) of the cluster's view: a file for its http context,
 * such as /etc/nginx/conf.d/mooring.conf. The same view and options always give the same text.
 *
 * nginx checks health only by what fails. It can't make a cookie that names the server it chose; but the answer that
 * opens a session says its id, whose first part is the node's tag, so the cookie is made of that.
 */
export function renderNginx(view: ClusterView, options: BalancerOptions): string {
  const sections = [...upstreams(view, options), ...maps(view, options), server(view, options)];
  return sections.map((lines) => `${lines.join("\n")}\n`).join("\n");
}

const poolName = "mooring_pool";

/** How many other nodes stand in for one that refuses connections: all of all would be ever longer. */
const mostBackups = 2;

function upstreams(view: ClusterView, { affinity }: BalancerOptions): string[][] {
  const pool = poolOf(view);
  const shared = [
    "    keepalive 64;",
    "    # Shorter than a node keeps an idle connection.",
    "    keepalive_timeout 60s;",
  ];
  const upstream = (name: string, servers: readonly string[]) => {
    return [`upstream ${name} {`, `    zone ${name} 64k;`, ...servers, ...shared, "}"];
  };
  const passive = "max_fails=3 fail_timeout=2s";
  const line = (node: EdgeNode, more: string) => {
    return `    server ${hostAndPort(node.url).address} ${more}; # ${commentOf(node.name)}`;
  };
  const needed = affinity.length === 0 ? [] : pinnedOf(view);
  return [
    ...(pool.length === 0
      ? []
      : [
          upstream(
            poolName,
            pool.map((node) => line(node, passive)),
          ),
        ]),
    ...needed.map((node) => {
      const others = backupsOf(node, pool).map((other) => line(other, "backup"));
      return upstream(upstreamOf(node), [line(node, passive), ...others]);
    }),
  ];
}

function upstreamOf({ tag }: EdgeNode): string {
  return `mooring_${tag}`;
}

/** Who stands in for a node: spread over the pool, and the same as long as the pool is. */
function backupsOf(node: EdgeNode, pool: readonly EdgeNode[]): EdgeNode[] {
  const backups: EdgeNode[] = [];
  let left = pool.filter(({ tag }) => tag !== node.tag);
  while (backups.length < mostBackups && left.length > 0) {
    const next = heirOf(
      node.tag,
      left.map(({ tag }) => tag),
    );
    backups.push(...left.filter(({ tag }) => tag === next));
    left = left.filter(({ tag }) => tag !== next);
  }
  return backups;
}

function maps(view: ClusterView, { affinity }: BalancerOptions): string[][] {
  const pool = poolOf(view);
  const fallback = pool.length === 0 ? '""' : poolName;
  const pinned = affinity.includes("session-id") ? pinnedOf(view) : [];
  const byCookie = affinity.includes("cookie") ? pool : [];
  const entries = (nodes: readonly EdgeNode[]) =>
    nodes.flatMap((node) => {
      const tags = [node.tag, ...(node.inherits ?? [])];
      return tags.map((tag) => `    ${tag} ${upstreamOf(node)}; # ${commentOf(node.name)}`);
    });
  return [
    [
      "# A session id begins with the tag of its node.",
      "map $http_mcp_session_id $mooring_tag {",
      '    default "";',
      '    "~^(?<mooring_first>[0-9a-z]{6})[.]" $mooring_first;',
      "}",
    ],
    [`map $cookie_${stickyCookie.name} $mooring_by_cookie {`, `    default ${fallback};`, ...entries(byCookie), "}"],
    ["map $mooring_tag $mooring_mcp {", "    default $mooring_by_cookie;", ...entries(pinned), "}"],
    ...(byCookie.length === 0
      ? []
      : [
          [
            "# The answer that opens a session tells whose it is. Who has the right cookie already gets none.",
            'map "$http_mcp_session_id|$mooring_by_cookie|$upstream_http_mcp_session_id" $mooring_set_cookie {',
            '    default "";',
            `    "~^[|]${poolName}[|](?<mooring_opened>[0-9a-z]{6})[.]" "${stickyCookie.name}=$mooring_opened; Path=${stickyCookie.path}; HttpOnly; Secure; SameSite=Strict";`,
            "}",
          ],
        ]),
    [
      "# For the app's WebSockets.",
      "map $http_upgrade $mooring_connection {",
      "    default upgrade;",
      "    '' '';",
      "}",
    ],
  ];
}

function server(view: ClusterView, options: BalancerOptions): string[] {
  const { web, websecure, certificate, affinity } = options;
  const scheme = view.nodes.some(({ url }) => hostAndPort(url).secure) ? "https" : "http";
  const empty = poolOf(view).length === 0;
  const cookie = affinity.includes("cookie") && !empty ? ["        add_header Set-Cookie $mooring_set_cookie;"] : [];
  const mcp = [
    ...(empty ? ['        if ($mooring_mcp = "") { return 503; }'] : []),
    ...cookie,
    `        proxy_pass ${scheme}://$mooring_mcp;`,
  ];
  return [
    "server {",
    ...(web === undefined ? [] : [`    listen ${listenAddress(web)};`]),
    ...(websecure === undefined
      ? []
      : [
          `    listen ${listenAddress(websecure)} ssl http2;`,
          `    ssl_certificate ${certificate?.certFile};`,
          `    ssl_certificate_key ${certificate?.keyFile ?? certificate?.certFile};`,
        ]),
    "    server_name _;",
    "",
    "    # Nodes say what is too large.",
    "    client_max_body_size 0;",
    "    proxy_http_version 1.1;",
    "    proxy_set_header Host $http_host;",
    '    proxy_set_header Connection "";',
    "    proxy_set_header X-Forwarded-For $remote_addr;",
    "    proxy_set_header X-Forwarded-Host $http_host;",
    "    proxy_set_header X-Forwarded-Proto $scheme;",
    "    # What only the edge and the nodes may say.",
    ...ownHeaders.map((name) => `    proxy_set_header ${name} "";`),
    "    # Each event of a stream leaves at once; a stream is silent for 15 s at most.",
    "    proxy_buffering off;",
    "    gzip off;",
    "    proxy_read_timeout 1h;",
    "    proxy_send_timeout 1h;",
    "    proxy_connect_timeout 1s;",
    "    # Never sends a POST again that a node may have read: `non_idempotent` must not stand here.",
    "    proxy_next_upstream error timeout;",
    ...(scheme === "https" ? ["    proxy_ssl_server_name on;"] : []),
    "",
    "    # For health checks only.",
    "    location = /livez { return 404; }",
    "    location = /mcp {",
    ...mcp,
    "    }",
    "    location /mcp/ {",
    ...mcp,
    "    }",
    "    location / {",
    ...(empty
      ? ["        return 503;"]
      : [
          // A location that sets one header inherits none.
          ...forApp,
          `        proxy_pass ${scheme}://${poolName};`,
        ]),
    "    }",
    "}",
  ];
}

const forApp = [
  "        proxy_set_header Host $http_host;",
  "        proxy_set_header Upgrade $http_upgrade;",
  "        proxy_set_header Connection $mooring_connection;",
  "        proxy_set_header X-Forwarded-For $remote_addr;",
  "        proxy_set_header X-Forwarded-Host $http_host;",
  "        proxy_set_header X-Forwarded-Proto $scheme;",
  ...ownHeaders.map((name) => `        proxy_set_header ${name} "";`),
];

/** `:80` is every interface, which nginx writes as a port alone. */
function listenAddress(address: string): string {
  return address.startsWith(":") ? address.slice(1) : address;
}
