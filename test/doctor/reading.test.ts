import { describe, expect, test } from "vitest";
import { CookieJar, parseSetCookie } from "../../src/doctor/cookies.ts";
import { EventReader } from "../../src/doctor/event-reader.ts";
import { failureOf } from "../../src/doctor/failure.ts";
import { recognise } from "../../src/doctor/recognise.ts";

describe("an event stream is read", () => {
  const stream = ": hello\r\n\r\nid: s-1\nretry: 1000\ndata: \n\nevent: message\rdata: a\rdata:  b\r\rdata: cut off";
  const read = [
    { kind: "comment" },
    { kind: "event", event: "message", data: "", id: "s-1", retryMs: 1_000 },
    { kind: "event", event: "message", data: "a\n b", id: undefined, retryMs: undefined },
  ];

  test("with each kind of line end; what is cut off is no event", () => {
    expect(new EventReader().push(stream)).toEqual(read);
  });

  test("in pieces of any size", () => {
    for (let size = 1; size < stream.length; size += 1) {
      const reader = new EventReader();
      const items = [];
      for (let at = 0; at < stream.length; at += size) items.push(...reader.push(stream.slice(at, at + size)));
      expect(items).toEqual(read);
    }
  });
});

describe("cookies", () => {
  test("are read with their attributes", () => {
    expect(parseSetCookie("_mcp_backend=4f=1; Path=/mcp; HttpOnly; Secure; SameSite=Strict")).toEqual({
      name: "_mcp_backend",
      value: "4f=1",
      path: "/mcp",
      domain: undefined,
      httpOnly: true,
      secure: true,
      sameSite: "strict",
    });
    expect(parseSetCookie("nonsense")).toBeUndefined();
  });

  test.each([
    ["a=1; Path=/mcp", "https://h/mcp", "a=1"],
    ["a=1; Path=/mcp", "https://h/mcp/x", "a=1"],
    ["a=1; Path=/mcp", "https://h/mcpfoo", undefined],
    ["a=1; Path=/", "https://h/mcp", "a=1"],
    ["a=1; Path=/app", "https://h/mcp", undefined],
    ["a=1", "https://h/mcp", "a=1"],
    ["a=1; Secure", "http://h/mcp", undefined],
  ])("%s is sent to %s as %s", (line, url, sent) => {
    const jar = new CookieJar();
    jar.note([line]);
    expect(jar.header(new URL(url))).toBe(sent);
  });
});

test.each([
  [{ server: "nginx/1.22.1" }, [], "", ["nginx"]],
  [{ via: "1.1 traefik" }, [], "", ["traefik"]],
  [{}, ["_mcp_backend=0123456789abcdef; Path=/mcp"], "", ["traefik"]],
  [{}, [], "<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.", ["haproxy"]],
  [{}, [], "404 page not found\n", ["traefik"]],
  [{ server: "uvicorn" }, ["session=1"], "", []],
])("the balancer is told from %j %j %j: %j", (headers, setCookies, errorText, balancers) => {
  expect(recognise([{ headers: headers as Record<string, string>, setCookies, errorText }]).balancers).toEqual(
    balancers,
  );
});

test.each([
  ["ECONNREFUSED", "refused"],
  ["ENOTFOUND", "unknown-host"],
  ["ECONNRESET", "reset"],
  ["EPROTO", "not-tls"],
  ["HPE_INVALID_CONSTANT", "not-http"],
  ["CERT_HAS_EXPIRED", "certificate"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "certificate"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "certificate"],
  ["EWHATEVER", "other"],
])("the error %s means %s", (code, means) => {
  expect(failureOf(Object.assign(new Error("it failed"), { code })).code).toBe(means);
});
