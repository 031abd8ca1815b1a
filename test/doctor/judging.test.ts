import { describe, expect, test } from "vitest";
import type { Judgement } from "../../src/doctor/check.ts";
import { parseSetCookie } from "../../src/doctor/cookies.ts";
import { Findings } from "../../src/doctor/findings.ts";
import { judgeHttps, judgeMcp, judgeSessionId } from "../../src/doctor/judge/address.ts";
import { judgeCookieAttributes, judgeCookieless, judgeForeignCookie } from "../../src/doctor/judge/affinity.ts";
import {
  judgeForgedHeaders,
  judgeOrigin,
  judgeTwoSessionIds,
  judgeUnknownSession,
} from "../../src/doctor/judge/requests.ts";
import { judgeEvents, judgeIdleStream, judgeResume, judgeSlowCall } from "../../src/doctor/judge/streams.ts";
import type { Message } from "../../src/doctor/message.ts";
import { reportText } from "../../src/doctor/report-text.ts";
import type { Seen } from "../../src/doctor/seen.ts";

function answer(status: number, message?: Message, text = "", type = "application/json"): Seen {
  const headers = { "content-type": type };
  return { kind: "answer", status, headers, setCookies: [], text, message, whole: true, headMs: 3 };
}
const answered = answer(200, { result: {} });
const gone = answer(404, { error: { code: -32001, message: "Session not found" } });
const late: Seen = { kind: "failure", failure: { code: "timeout", message: "no answer within 8 s" } };

/** In few words: what a judgement is, and what can be mended by it. */
function short(judgement: Judgement): string {
  return "problem" in judgement ? `${judgement.result}: ${judgement.problem}` : judgement.result;
}

describe("sessions of clients without cookies", () => {
  test("are reached when all is answered, by one node", () => {
    const judgement = judgeCookieless({ answers: [answered, answered], nodes: ["node-2", "node-2"] });
    expect(judgement).toEqual({ result: "ok", seen: "2 of 2 requests answered, by node-2" });
  });

  test("are lost by a single 404, which is counted and quoted", () => {
    const judgement = judgeCookieless({ answers: [answered, gone, gone], nodes: [] });
    expect(judgement).toMatchObject({
      result: "failed",
      problem: "affinity",
      seen: "2 of 3 requests failed, each on a connection of its own: 2 × 404 (-32001: Session not found).",
    });
  });

  test.each([
    ["a server that is down", [answered, late], "failed: backend"],
    ["an error of the balancer", [answered, answer(502, undefined, "Bad Gateway", "text/plain")], "failed: backend"],
    ["an answer that is cut off", [{ ...answered, message: undefined, whole: false } as Seen], "failed: backend"],
    ["a limit of requests", [answered, answer(429)], "not-run"],
  ])("%s is another matter", (_, answers, expected) => {
    expect(short(judgeCookieless({ answers, nodes: [] }))).toBe(expected);
  });

  test("are forked when two nodes serve one", () => {
    expect(short(judgeCookieless({ answers: [answered, answered], nodes: ["a", "b"] }))).toBe("failed: forked");
  });

  test("a misroute that a real client rarely meets is a warning", () => {
    expect(short(judgeForeignCookie({ answers: [gone], nodes: [] }, false))).toBe("warning: affinity");
    expect(short(judgeForeignCookie({ answers: [gone], nodes: [] }, true))).toBe("not-run");
  });
});

describe("the cookie", () => {
  const right = "_mcp_backend=1; Path=/mcp; HttpOnly; Secure; SameSite=Strict";
  test.each([
    [right, "https://h/mcp", true, "ok"],
    [right, "http://h/mcp", false, "ok"],
    [right, "http://h/mcp", true, "failed: plain-http"],
    ["a=1; Path=/app; HttpOnly; Secure; SameSite=Strict", "https://h/mcp", true, "failed: cookie-attributes"],
    ["a=1; Path=/app; HttpOnly; Secure; SameSite=Strict", "https://h/mcp", false, "warning: cookie-attributes"],
    ["a=1; Path=/mcp; HttpOnly; SameSite=None", "https://h/mcp", true, "failed: cookie-attributes"],
    ["a=1; Path=/; HttpOnly; Secure; SameSite=Strict", "https://h/mcp", true, "warning: cookie-attributes"],
    ["a=1; Path=/mcp; Secure; SameSite=Strict", "https://h/mcp", true, "warning: cookie-attributes"],
    ["a=1; Path=/mcp; HttpOnly; SameSite=Strict", "https://h/mcp", true, "warning: cookie-attributes"],
    ["a=1; Path=/mcp; HttpOnly; Secure", "https://h/mcp", true, "warning: cookie-attributes"],
    [`${right}; Domain=h`, "https://h/mcp", true, "warning: cookie-attributes"],
  ])("%s on %s (needed: %s) is %s", (line, url, needed, expected) => {
    const cookies = [parseSetCookie(line)].filter((cookie) => cookie !== undefined);
    expect(short(judgeCookieAttributes({ url: new URL(url), cookies, needed }))).toBe(expected);
  });
});

describe("HTTPS", () => {
  const now = Date.parse("2026-01-01");
  const facts = { local: false, insecure: false, failure: undefined, plain: undefined, now };
  const validFor = (days: number) => ({ validTo: now + days * 86_400_000, issuer: "R1" });
  const url = new URL("https://h/mcp");
  test.each([
    [{ ...facts, url, certificate: validFor(60) }, "ok"],
    [{ ...facts, url, certificate: validFor(5) }, "warning: certificate-ends"],
    [{ ...facts, url, certificate: validFor(60), plain: answer(301) }, "warning: also-plain-http"],
    [{ ...facts, url, certificate: validFor(60), plain: answer(308) }, "ok"],
    [{ ...facts, url, certificate: validFor(60), plain: answered }, "warning: also-plain-http"],
    [{ ...facts, url, certificate: validFor(60), plain: late }, "ok"],
    [{ ...facts, url, certificate: validFor(60), insecure: true }, "not-run"],
    [{ ...facts, url: new URL("http://h/mcp"), certificate: undefined }, "warning: plain-http"],
    [{ ...facts, url: new URL("http://h/mcp"), certificate: undefined, local: true }, "ok"],
  ])("case %#", (given, expected) => {
    expect(short(judgeHttps(given))).toBe(expected);
  });
});

describe("what answers initialize", () => {
  test.each([
    [answer(401), "failed: authorization"],
    [answer(404, undefined, "404 page not found", "text/plain"), "failed: not-mcp"],
    [answer(200, undefined, "<p>Hello", "text/html"), "failed: not-mcp"],
    [answer(503), "failed: backend"],
    [late, "failed: no-answer"],
  ])("case %#", (initialize, expected) => {
    expect(short(judgeMcp({ initialize, begun: false, server: "" }))).toBe(expected);
  });

  test.each([
    [undefined, "ok"],
    ["qsnzdj.G-epd5r9MGfiE4z7XOv2nmj0", "ok"],
    ["5b0a", "warning: session-id"],
    ["fünfundzwanzig-zeichen-lang", "failed: session-id"],
  ])("the session id %s", (id, expected) => {
    expect(short(judgeSessionId(id))).toBe(expected);
  });
});

describe("streams", () => {
  const paced = (arrivals: readonly number[]) => [{ what: "a call's stream", everyMs: 250, expected: 4, arrivals }];
  test.each([
    [[260, 510, 760, 1_010], "ok"],
    [[300, 400, 900, 1_000], "ok"],
    [[1_010, 1_011, 1_011, 1_012], "failed: buffering"],
    [[260], "failed: buffering"],
    [[], "failed: buffering"],
  ])("events that came at %j", (arrivals, expected) => {
    expect(short(judgeEvents(paced(arrivals)))).toBe(expected);
  });

  const primed = { kind: "event", event: "message", data: "", id: "s-0", retryMs: 1_000, atMs: 4 } as const;
  const comment = { kind: "comment", atMs: 15_000 } as const;
  test.each([
    [{ watchedMs: 20_000, items: [comment], end: { kind: "open" } } as const, "ok"],
    [{ watchedMs: 20_000, items: [], end: { kind: "open" } } as const, "ok"],
    [{ watchedMs: 20_000, items: [], end: { kind: "cut", atMs: 10_000 } } as const, "failed: idle"],
    [{ watchedMs: 20_000, items: [], end: { kind: "ended", atMs: 10_000 } } as const, "failed: idle"],
    [{ watchedMs: 20_000, items: [primed], end: { kind: "ended", atMs: 10_000 } } as const, "warning: idle"],
    [{ watchedMs: 20_000, items: [primed], end: { kind: "cut", atMs: 10_000 } } as const, "failed: idle"],
  ])("a silent one, case %#", (facts, expected) => {
    expect(short(judgeIdleStream(facts))).toBe(expected);
  });

  test.each([
    [{ kind: "events", before: [1, 2], after: [3, 4], sent: 4 } as const, "ok"],
    [{ kind: "events", before: [1, 2], after: [2, 3, 4], sent: 4 } as const, "failed: resume"],
    [{ kind: "events", before: [1, 2], after: [4], sent: 4 } as const, "failed: resume"],
    [{ kind: "refused", words: "404" } as const, "failed: resume"],
    [{ kind: "no-ids" } as const, "not-run"],
  ])("one that goes on after Last-Event-ID, case %#", (facts, expected) => {
    expect(short(judgeResume(facts))).toBe(expected);
  });
});

describe("requests that have to be refused", () => {
  test.each([
    [gone, gone, "ok"],
    [gone, answer(405), "ok"],
    [gone, answer(400), "failed: refusal"],
    [answer(400), answer(400), "failed: refusal"],
    [answered, gone, "failed: refusal"],
    [late, gone, "failed: refusal"],
    [answer(404), gone, "warning: refusal"],
  ])("an unknown session, case %#", (post, get, expected) => {
    expect(short(judgeUnknownSession({ post, get }))).toBe(expected);
  });

  test.each([
    [answer(403), answer(403), true, "ok"],
    [answered, answer(403), true, "failed: origin"],
    [answer(403), answered, true, "failed: origin"],
    [answered, undefined, false, "warning: origin"],
  ])("a stranger's page, case %#", (origin, host, local, expected) => {
    expect(short(judgeOrigin({ origin, host, local }))).toBe(expected);
  });

  test("two session headers, and forged ones", () => {
    expect(short(judgeTwoSessionIds(answer(400)))).toBe("ok");
    expect(short(judgeTwoSessionIds(answered))).toBe("warning: two-session-ids");
    expect(short(judgeForgedHeaders({ plain: answered, forged: answered, leaked: [] }))).toBe("ok");
    expect(short(judgeForgedHeaders({ plain: answered, forged: answer(421), leaked: [] }))).toBe(
      "failed: forged-headers",
    );
    expect(short(judgeForgedHeaders({ plain: answered, forged: answered, leaked: ["mooring-answer"] }))).toBe(
      "failed: forged-headers",
    );
  });
});

describe("the report", () => {
  const findings = new Findings(() => false);
  findings.set("reachable", { result: "ok", seen: "HTTP 200 after 3 ms" });
  findings.set("cookieless", judgeCookieless({ answers: [answered, gone], nodes: [] }));

  test("tells of every check, and how to mend what failed, with lines for the balancer that was recognised", () => {
    const report = findings.report("http://h/mcp", { balancers: ["haproxy"], names: [], mooring: false }, "too early");
    expect(report.ok).toBe(false);
    const text = reportText(report);
    expect(text).toMatch(/^ok {7}The endpoint answers: HTTP 200 after 3 ms$/m);
    expect(text).toMatch(/^not run {2}HTTPS is right: too early$/m);
    expect(text).toMatch(/^FAILED {3}A client without cookies reaches its session with every request$/m);
    expect(text).toMatch(/^ {15}HAProxy:\n {17}backend mcp\n {19}stick-table type string/m);
    expect(text).not.toContain("nginx:");
    expect(text).toMatch(/^1 ok, 0 warnings, 1 failed, 18 not run$/m);
  });

  test("says how to mend only once what two checks have found", () => {
    const twice = new Findings(() => false);
    twice.set("idle-stream", judgeIdleStream({ watchedMs: 20_000, items: [], end: { kind: "cut", atMs: 10_000 } }));
    twice.set("slow-call", judgeSlowCall({ takesMs: 20_000, answered: false, words: "an answer that broke off" }));
    const text = reportText(twice.report("http://h/mcp", { balancers: ["nginx"], names: [], mooring: false }, ""));
    expect(text.match(/proxy_read_timeout/g)).toHaveLength(1);
    expect(text).toContain('mend: As for "A silent stream stays open".');
  });

  test("has other words for a server on Mooring", () => {
    const { checks } = findings.report("http://h/mcp", { balancers: ["traefik"], names: [], mooring: true }, "");
    const { mend } = checks.find(({ id }) => id === "cookieless") ?? {};
    expect(mend).toContain("--relay on");
    expect(mend).toContain("HeaderRegexp(`Mcp-Session-Id`, `^TAG[.]`)");
  });
});
