import { type BalancerOptions, commentOf, hostAndPort } from "./balancer-options.ts";
import { stickyCookie } from "./traefik-view.ts";
import { type ClusterView, type EdgeNode, pinnedOf, poolOf } from "./view.ts";

/**
 * Makes the configuration of HAProxy (2.6 and later) of the cluster's view: one whole file. The same view and options
 * always give the same text. Servers are named by their tags, so that a session id leads to its server by one rule.
 */
export function renderHaproxy(view: ClusterView, options: BalancerOptions): string {
  const bySession = options.affinity.includes("session-id");
  const sections = [global, defaults, frontend(view, options), app(view), mcp(view, options)];
  return [...sections, ...(bySession ? [pinned(view)] : [])].map((lines) => `${lines.join("\n")}\n`).join("\n");
}

const global = ["global", "    log stdout format raw local0 warning"];

const defaults = [
  "defaults",
  "    mode http",
  "    log global",
  "    # A request is sent again only where no connection came about: what a node may have read is never sent twice.",
  "    retries 3",
  "    retry-on conn-failure",
  "    option redispatch 1",
  "    # Each event of a stream leaves at once.",
  "    option http-no-delay",
  "    # A client that hangs up is told to its node at once.",
  "    option abortonclose",
  "    timeout connect 1s",
  "    timeout http-request 60s",
  "    timeout http-keep-alive 60s",
  "    # A stream is silent for 15 s at most; the limits are for what is dead.",
  "    timeout client 1h",
  "    timeout server 1h",
  "    timeout tunnel 1h",
  "    timeout check 1s",
];

function frontend(view: ClusterView, { web, websecure, certificate, affinity }: BalancerOptions): string[] {
  const tags = affinity.includes("session-id") ? pinnedOf(view).flatMap(tagsOf) : [];
  return [
    "frontend mooring",
    ...(web === undefined ? [] : [`    bind ${web}`]),
    ...(websecure === undefined ? [] : [`    bind ${websecure} ssl crt ${certificate?.certFile} alpn h2,http/1.1`]),
    "    # What only the edge and the nodes may say.",
    "    http-request del-header Mooring- -m beg",
    "    http-request del-header X-Forwarded- -m beg",
    "    http-request set-header X-Forwarded-For %[src]",
    "    http-request set-header X-Forwarded-Host %[req.hdr(Host)]",
    "    http-request set-header X-Forwarded-Proto http",
    "    http-request set-header X-Forwarded-Proto https if { ssl_fc }",
    "    # For health checks only.",
    "    http-request return status 404 if { path /livez }",
    "    acl mcp path /mcp",
    "    acl mcp path_beg /mcp/",
    ...(tags.length === 0
      ? []
      : [
          "    # A session id begins with the tag of its node. Of several headers none counts; the node refuses them.",
          "    http-request set-var(txn.tag) req.fhdr(Mcp-Session-Id),field(1,.) if { req.fhdr_cnt(Mcp-Session-Id) eq 1 }",
          ...tags.map(({ tag, leadsTo }) => `    acl pinned var(txn.tag) -m str ${tag} # ${commentOf(leadsTo.name)}`),
          ...tags
            .filter(({ tag, leadsTo }) => tag !== leadsTo.tag)
            .map(({ tag, leadsTo }) => {
              return `    http-request set-var(txn.server) str(${leadsTo.tag}) if { var(txn.tag) -m str ${tag} }`;
            }),
          "    http-request set-var(txn.server) var(txn.tag) if !{ var(txn.server) -m found }",
          "    use_backend mooring_pinned if mcp pinned",
        ]),
    "    use_backend mooring_mcp if mcp",
    "    default_backend mooring_app",
  ];
}

/** The tags that lead to a node: its own, and those that it inherits. */
function tagsOf(node: EdgeNode): { readonly tag: string; readonly leadsTo: EdgeNode }[] {
  return [node.tag, ...(node.inherits ?? [])].map((tag) => ({ tag, leadsTo: node }));
}

const check = [
  "    option httpchk",
  "    http-check send meth GET uri /livez ver HTTP/1.1 hdr Host localhost",
  "    http-check expect status 200",
  "    default-server check inter 1s fall 2 rise 1 pool-purge-delay 60s init-addr last,libc,none",
];

function app(view: ClusterView): string[] {
  const servers = poolOf(view).map((node) => server(node));
  return ["# The app: everybody's turn.", "backend mooring_app", "    balance roundrobin", ...check, ...servers];
}

function mcp(view: ClusterView, { affinity }: BalancerOptions): string[] {
  const byCookie = affinity.includes("cookie");
  return [
    "# New sessions.",
    "backend mooring_mcp",
    "    balance roundrobin",
    ...(byCookie
      ? [
          `    cookie ${stickyCookie.name} insert indirect nocache httponly secure attr SameSite=Strict`,
          "    # HAProxy's own cookies are for every path.",
          `    http-after-response replace-header Set-Cookie '^(${stickyCookie.name}=[^;]*); path=/;(.*)$' '\\1; Path=${stickyCookie.path};\\2'`,
        ]
      : []),
    "    default-server pool-purge-delay 60s init-addr last,libc,none",
    ...poolOf(view).map((node) => {
      return server(node, `${byCookie ? `cookie ${node.tag} ` : ""}track mooring_app/${node.tag}`);
    }),
  ];
}

/** A server of weight 0 gets only what is pinned to it. One that is down, or refuses, is passed over for the others. */
function pinned(view: ClusterView): string[] {
  return [
    "# Sessions, at their nodes; where a node can't be reached, at another one.",
    "backend mooring_pinned",
    "    balance roundrobin",
    "    use-server %[var(txn.server)] if TRUE",
    ...check,
    ...pinnedOf(view).map((node) => server(node, node.state === "draining" ? "weight 0" : "")),
  ];
}

function server(node: EdgeNode, more = ""): string {
  const { address, secure, host } = hostAndPort(node.url);
  const tls = secure ? ` ssl verify required ca-file @system-ca sni str(${host}) check-sni ${host}` : "";
  return `    server ${node.tag} ${address}${tls}${more === "" ? "" : ` ${more}`} # ${commentOf(node.name)}`;
}
