import type { Problem } from "../check.ts";
import type { Balancer } from "../recognise.ts";

type Lines = Partial<Record<Balancer, string>>;

/** The lines to put into a balancer's configuration. */
export function lines(problem: Problem, mooring: boolean): Lines | undefined {
  return (mooring ? forMooring[problem] : undefined) ?? forAny[problem];
}

const forMooring: Partial<Record<Problem, Lines>> = {
  affinity: {
    traefik: `# written by mooring edge, or printed by: mooring config traefik --node NAME=URL …
http:
  routers:
    pin-NODE:
      rule: "(Path(\`/mcp\`) || PathPrefix(\`/mcp/\`)) && HeaderRegexp(\`Mcp-Session-Id\`, \`^TAG[.]\`)"
      priority: 2000
      service: NODE`,
    haproxy: `# printed whole by: mooring config haproxy --node NAME=URL …
backend mcp
  use-server NODE if { req.hdr(Mcp-Session-Id) -m beg TAG. }`,
    nginx: `# printed whole by: mooring config nginx --node NAME=URL …
map $http_mcp_session_id $mcp_backend {
  default mcp;
  "~^TAG[.]" NODE;    # an upstream with this node alone
}
location /mcp { proxy_pass http://$mcp_backend; }`,
  },
  "affinity-of-cookies": {},
};

const timeouts: Lines = {
  traefik: `entryPoints:
  websecure:
    transport:
      respondingTimeouts: {writeTimeout: 0s, idleTimeout: 180s}`,
  haproxy: `timeout client 1h
timeout server 1h`,
  nginx: `proxy_read_timeout 1h;
send_timeout 1h;`,
};

const forAny: Partial<Record<Problem, Lines>> = {
  affinity: {
    haproxy: `backend mcp
  stick-table type string len 128 size 1m expire 1h
  stick store-response res.hdr(Mcp-Session-Id)
  stick match req.hdr(Mcp-Session-Id)`,
    nginx: `upstream mcp {    # nginx 1.29.6 and later
  zone mcp 1m;
  sticky learn create=$upstream_http_mcp_session_id lookup=$http_mcp_session_id zone=mcp_sessions:1m timeout=1h header;
}`,
    traefik: `# for clients that keep cookies only
http:
  services:
    mcp:
      loadBalancer:
        sticky: {cookie: {name: _mcp_backend, httpOnly: true, secure: true, sameSite: strict, path: /mcp}}`,
  },
  "affinity-of-cookies": {
    haproxy: `backend mcp
  stick-table type string len 128 size 1m expire 1h
  stick store-response res.hdr(Mcp-Session-Id)
  stick match req.hdr(Mcp-Session-Id)`,
    traefik: `http:
  services:
    mcp:
      loadBalancer:
        sticky: {cookie: {name: _mcp_backend, httpOnly: true, secure: true, sameSite: strict, path: /mcp}}
        healthCheck: {path: /livez, interval: 1s, timeout: 900ms}`,
  },
  backend: {
    traefik: `http:
  services:
    mcp:
      loadBalancer:
        healthCheck: {path: /livez, interval: 1s, timeout: 900ms}`,
    haproxy: `option httpchk GET /livez
default-server check inter 1s fall 2 rise 1`,
    nginx: "server 10.0.0.7:3001 max_fails=2 fail_timeout=5s;",
  },
  "cookie-attributes": {
    traefik: `sticky: {cookie: {name: _mcp_backend, httpOnly: true, secure: true, sameSite: strict, path: /mcp}}`,
    haproxy: `cookie _mcp_backend insert indirect nocache httponly secure attr "SameSite=Strict"
http-after-response replace-header Set-Cookie "^(_mcp_backend=.*)path=/;(.*)" "\\1path=/mcp;\\2"`,
    nginx: "sticky cookie _mcp_backend path=/mcp httponly secure samesite=strict;    # nginx 1.29.6 and later",
  },
  buffering: {
    traefik: "# take the buffering middleware off the routers of /mcp; Traefik itself holds no event stream back",
    haproxy: `# HAProxy holds no event stream back, except by compression and by Lua or SPOE filters
no option http-buffer-request
option http-no-delay`,
    nginx: `location /mcp {
  proxy_buffering off;
  proxy_cache off;
  gzip off;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
}`,
  },
  compression: {
    traefik: "compress: {excludedContentTypes: [text/event-stream]}",
    haproxy: "compression type application/json text/html text/css    # without text/event-stream",
    nginx: `location /mcp {
  gzip off;
}`,
  },
  idle: timeouts,
  redirect: {
    traefik: "redirectScheme: {scheme: https, permanent: true}    # answers 308 to a POST",
    haproxy: "http-request redirect scheme https code 308 unless { ssl_fc }",
    nginx: "return 308 https://$host$request_uri;",
  },
  "also-plain-http": {
    traefik: "redirectScheme: {scheme: https, permanent: true}    # answers 308 to a POST",
    haproxy: "http-request redirect scheme https code 308 unless { ssl_fc }",
    nginx: "return 308 https://$host$request_uri;",
  },
  "body-size": {
    traefik: "buffering: {maxRequestBodyBytes: 4194304}    # or no buffering middleware at all",
    haproxy: "# take out rules such as: http-request deny if { req.body_size gt … }",
    nginx: "client_max_body_size 4m;",
  },
  "two-session-ids": {
    haproxy: "http-request deny deny_status 400 if { req.hdr_cnt(Mcp-Session-Id) gt 1 }",
  },
  origin: {
    haproxy:
      "http-request deny deny_status 403 if { req.hdr(Origin) -m found } !{ req.hdr(Origin) -i https://app.example.com }",
    nginx: `map $http_origin $stranger { default 1; "" 0; "https://app.example.com" 0; }
if ($stranger) { return 403; }`,
  },
  "forged-headers": {
    traefik: `middlewares:
  strip: {headers: {customRequestHeaders: {Mooring-Failover: "", Mooring-Peer: ""}}}`,
    haproxy: "http-request del-header Mooring- -m beg",
    nginx: `proxy_set_header Mooring-Failover "";
proxy_set_header Mooring-Peer "";`,
  },
};
