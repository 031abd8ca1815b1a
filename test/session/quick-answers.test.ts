import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { acceptBoth, RawClient } from "../support/raw-client.ts";
import { httpRequest, RawSocket } from "../support/raw-socket.ts";
import { type Serving, serve } from "../support/serving.ts";

let serving: Serving;

async function start(answers: "sse" | "json"): Promise<RawClient> {
  serving = await serve(new ConductedServer().definition, { answers });
  return await RawClient.begin(serving.url);
}

afterEach(async () => {
  await serving.stop();
});

function echoRequest(client: RawClient, id: number, text: string, more: Record<string, string> = {}): string {
  const headers = { "Mcp-Session-Id": client.session, Accept: acceptBoth, "Content-Type": "application/json", ...more };
  const call = { jsonrpc: "2.0", id, method: "tools/call", params: { name: "echo", arguments: { text } } };
  return httpRequest("POST", "/mcp", headers, JSON.stringify(call));
}

describe.each(["sse", "json"] as const)("a quick answer as %s", (answers) => {
  test("leaves as one write, head and body, with Content-Length: over 500 calls", async () => {
    const client = await start(answers);
    const socket = await RawSocket.open(serving.url);
    let split = 0;
    for (let id = 1; id <= 500; id += 1) {
      const text = "x".repeat(id % 7 === 0 ? 2_000 : id);
      // Browsers' requests get more headers (CORS), which must not make two writes of one.
      const reads = await socket.ask(echoRequest(client, id, text, id % 5 === 0 ? { Origin: serving.url } : {}));
      expect(reads.join("")).toContain(text);
      // A call may take over 20 ms on a busy machine, and is then a stream; it never has a Content-Length.
      if (reads.length > 1) split += 1;
    }
    expect(split).toBe(0);
    socket.socket.destroy();
  });
});

describe("a quick answer as server-sent events", () => {
  let client: RawClient;
  beforeEach(async () => {
    client = await start("sse");
  });

  test("is one event without an id, for there is nothing to resume", async () => {
    const answer = await (await client.startCall("echo", { text: "a" })).ended();
    expect(answer.headers).toMatchObject({
      "content-type": "text/event-stream",
      "content-length": String(Buffer.byteLength(answer.text)),
      "cache-control": "no-cache, no-transform",
      "mcp-session-id": client.session,
    });
    expect(answer.events).toHaveLength(1);
    expect(answer.events[0]?.id).toBeUndefined();
  });

  test("counts bytes, not characters", async () => {
    const text = "語é\u2028😀";
    const answer = await (await client.startCall("echo", { text })).ended();
    expect(answer.message).toMatchObject({ result: { content: [{ text }] } });
    expect(Number(answer.headers["content-length"])).toBe(Buffer.byteLength(answer.text));
  });

  test("of eight megabytes arrives whole", async () => {
    const text = "x".repeat(2 * 1024 * 1024);
    const answer = await (await client.startCall("echo", { text: `${text}${"語".repeat(300_000)}` })).ended();
    expect(answer.end).toBe("whole");
    expect(answer.messages).toHaveLength(1);
  });

  test("to notifications and responses alone is 202 without a body", async () => {
    const answer = await client.post({
      jsonrpc: "2.0",
      method: "notifications/progress",
      params: { progressToken: 1, progress: 1 },
    });
    await answer.ended();
    expect([answer.status, answer.text, answer.headers["content-length"]]).toEqual([202, "", "0"]);
  });
});

describe("a quick answer as JSON", () => {
  test("is the response itself", async () => {
    const client = await start("json");
    const answer = await (await client.startCall("echo", { text: "a" }, "id")).ended();
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(answer.text)).toEqual({
      jsonrpc: "2.0",
      id: "id",
      result: { content: [{ type: "text", text: "a" }] },
    });
  });

  test("becomes a stream of events when it takes longer", async () => {
    const conducted = new ConductedServer();
    serving = await serve(conducted.definition, { answers: "json" });
    const client = await RawClient.begin(serving.url);
    const answer = await client.startCall("wait", { name: "slow" });
    expect(answer.headers["content-type"]).toBe("text/event-stream");
    (await conducted.call("slow")).answer("done");
    await answer.ended();
    expect(answer.message).toMatchObject({ result: { content: [{ text: "done" }] } });
  });
});
