import type { Problem } from "../check.ts";

/** What to do, in words; `mooring` where it differs for a server on Mooring. */
export const words: Record<Problem, { readonly any: string; readonly mooring?: string }> = {
  "not-listening": {
    any: "Start the server, or mend host and port of the address. In a container it has to listen on 0.0.0.0, not on 127.0.0.1.",
  },
  "unknown-host": { any: "Mend the host name, or its DNS entry." },
  "no-answer": {
    any: "Look at the server's log and at the balancer's: the request came in, and was not answered in time. A firewall that drops packets looks the same.",
  },
  "not-tls": {
    any: "The other end speaks another protocol: mend the scheme (http:// or https://) or the port of the address.",
  },
  certificate: {
    any: "Give the server a certificate that its clients trust, for the name in the address, with all intermediate certificates (the full chain). For a CA of your own: mooring doctor --ca FILE, and NODE_EXTRA_CA_CERTS=FILE or SSL_CERT_FILE=FILE for the clients.",
  },
  "certificate-ends": { any: "Renew it, and let a machine do so from now on (ACME)." },
  "plain-http": { any: "End HTTPS in the balancer, and give clients the https:// address." },
  "also-plain-http": {
    any: "Let plain HTTP answer 308 to the https:// address (301 and 302 turn a POST into a GET), or not at all.",
  },
  redirect: { any: "Give clients the address at the end of the redirects; where one has to stay, let it answer 308." },
  "not-mcp": {
    any: "Is the path right? MCP servers are usually at /mcp. The server has to speak Streamable HTTP (POST to this address); the older HTTP+SSE transport, with an address that ends in /sse, is not enough for sessions.",
  },
  authorization: { any: 'Give the doctor what clients send: --header "Authorization: Bearer …".' },
  "session-id": { any: "Let the server make its session ids from at least 128 random bits, as randomUUID() does." },
  affinity: {
    any: "Pin requests by the Mcp-Session-Id header, which every client sends back, not by a cookie or an address. The balancer has to learn which server gave out which id; Traefik can't, so behind it the id itself must name its node, as with Mooring.",
    mooring:
      "Turn relays on (--relay on) and give each node a peer link that the others reach: then every node serves every request. Pin by the session id's tag besides (--affinity session-id,cookie, which is the default), so that requests need no relay.",
  },
  "affinity-of-cookies": {
    any: "Pin requests by the Mcp-Session-Id header, which every client sends back. Let the balancer's cookie name the server that answered initialize, and check that the health of that server doesn't flap.",
    mooring: "Render the balancer's configuration with mooring config, or publish it with mooring edge.",
  },
  forked: {
    any: "Keep each session on one node: pin requests by the Mcp-Session-Id header, or put the state where all nodes see it.",
  },
  backend: {
    any: "Look at the balancer's log for these requests: a server behind it is down, or closes connections. Let it check the servers' health, and take those out that fail.",
  },
  "cookie-attributes": {
    any: "Set the cookie for the endpoint's path only, with HttpOnly, Secure and SameSite=Strict.",
  },
  refusal: {
    any: "Answer requests with an unknown session id by 404 and a JSON-RPC error that says so. In the TypeScript SDKs' examples that is the branch without a transport for the id: status 404 and code -32001. Where the balancer answered: the endpoint's path has to reach the server with every method.",
  },
  buffering: {
    any: "Switch buffering off for this path, in each proxy on the way. A server can ask for it with the headers X-Accel-Buffering: no and Cache-Control: no-cache, no-transform.",
  },
  compression: { any: "Leave text/event-stream out of what is compressed, in the balancer and in the server." },
  idle: {
    any: "Raise the timeouts of every proxy on the way, and let the server send a comment on silent streams (a line with a colon) more often than the shortest of them; Mooring does, each 15 s.",
    mooring:
      "Raise the timeouts of every proxy on the way above 15 s: so often Mooring gives silent streams a sign of life.",
  },
  resume: {
    any: "Requests with Last-Event-ID have to reach the node that has the session's events, or a store that all nodes share (an event store, in the SDKs).",
  },
  "body-size": { any: "Raise the limit of a request's body, in the balancer and in the server's body parser." },
  "two-session-ids": { any: "Refuse requests that carry the header twice, in the server or before it." },
  origin: {
    any: "Let the server check Origin, and on this machine's own addresses Host too (hostHeaderValidation and allowed origins in the SDKs).",
    mooring: "Name only the origins in --allow-origin that may use the server; * lets everybody in.",
  },
  "forged-headers": {
    any: "Strip headers that begin with Mooring- before the nodes, and keep their peer addresses off the balancer.",
  },
};
