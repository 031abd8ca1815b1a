import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PeerLink } from "../../src/node/peer-link.ts";
import { type Proven, proofHeader, prove } from "../../src/node/peer-proof.ts";
import { answer } from "../../src/session/response-sink.ts";
import { type RawAnswer, send } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const secret = "what the nodes of this test share";
const tag = "k3f9q2";
const session = `${tag}.AAAAAAAAAAAAAAAAAAAAAAAA`;

let link: PeerLink;
let log: RecordedLog;
let taken: string[];
let time: number;

beforeEach(async () => {
  log = new RecordedLog();
  taken = [];
  time = Date.UTC(2026, 0, 1);
  const relayed = async ({ body, sink, method }: Parameters<ConstructorParts["relayed"]>[0]) => {
    taken.push(`${method} ${await body(1)}`);
    answer(sink, 200, [], "done");
  };
  link = await PeerLink.start({ tag, secret, log, now: () => time, relayed }, "127.0.0.1", 0);
});
afterEach(() => link.stop());

type ConstructorParts = Parameters<typeof PeerLink.start>[0];

const about = (body: string, more: Partial<Proven> = {}): Proven => ({
  to: tag,
  method: "POST",
  path: "/mcp",
  session,
  body: body,
  ...more,
});

async function post(
  body: string,
  proof: string,
  headers: Record<string, string> = {},
  path = "/mcp",
): Promise<RawAnswer> {
  const all = { "mcp-session-id": session, [proofHeader]: proof, ...headers };
  const sent = await send(`http://127.0.0.1:${link.port}`, { method: "POST", path, headers: all, body });
  return await sent.ended();
}

const reasons = () => log.of("peer-refused").map(({ reason }) => reason);

describe("the peer link", () => {
  test("takes a proven request once: sent again, byte by byte, it is refused", async () => {
    const proof = prove(secret, about("pay"), time);
    expect((await post("pay", proof)).status).toBe(200);
    const again = await post("pay", proof);
    expect(again.status).toBe(401);
    expect(again.headers["mooring-answer"]).toBe("refused");
    time += 59_000;
    expect((await post("pay", proof)).status).toBe(401);
    expect(taken).toEqual(["POST pay"]);
    expect(reasons()).toEqual(["used already", "too old or clocks differ"]);
  });

  test("takes a request only as it was proven", async () => {
    const proof = () => prove(secret, about("pay"), time);
    expect((await post("pay more", proof())).status).toBe(401);
    expect((await post("pay", proof(), { "mcp-session-id": `${session}B` })).status).toBe(401);
    expect((await post("pay", proof(), {}, "/mcp?x")).status).toBe(401);
    expect((await post("pay", prove(secret, about("pay", { to: "zzzzzz" }), time))).status).toBe(401);
    expect((await post("pay", prove("another secret", about("pay"), time))).status).toBe(401);
    expect((await post("pay", "")).status).toBe(401);
    expect(taken).toEqual([]);
    expect(new Set(reasons())).toEqual(new Set(["wrong"]));
  });

  test("refuses a body over 4 MiB before it has all of it, whoever sends it", async () => {
    const body = "x".repeat(4 * 1024 * 1024 + 1);
    expect((await post(body, prove(secret, about(body), time))).status).toBe(413);
    expect(taken).toEqual([]);
  });

  test("gives a sign of life only to nodes of the cluster", async () => {
    const url = `http://127.0.0.1:${link.port}`;
    const proof = prove(secret, { to: tag, method: "GET", path: "/alive", session: "", body: undefined }, time);
    const headers = { [proofHeader]: proof };
    expect((await send(url, { path: "/alive", headers })).status).toBe(204);
    expect((await send(url, { path: "/alive", headers })).status).toBe(401);
    expect((await send(url, { path: "/alive" })).status).toBe(401);
  });

  test("survives a request that breaks off in its body", async () => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const url = `http://127.0.0.1:${link.port}`;
    const sent = send(url, { method: "POST", headers: { "content-length": "100" }, body: "half", signal });
    setImmediate(() => leaving.abort());
    await expect(sent).rejects.toThrow();
    expect((await post("pay", prove(secret, about("pay"), time))).status).toBe(200);
    expect(log.of("request-failed")).toEqual([]);
  });
});
