import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;

beforeEach(async () => {
  conducted = new ConductedServer();
  serving = await serve(conducted.definition);
});

afterEach(async () => {
  await serving.stop();
});

describe("a call that takes longer than 20 ms", () => {
  test("gets its head at once, with a priming event and an id, so that its client can ask again", async () => {
    const client = await RawClient.begin(serving.url);
    const answer = await client.startCall("wait", { name: "a" });
    expect(answer.headers["content-length"]).toBeUndefined();
    await eventually(() => expect(answer.events).toHaveLength(1));
    expect(answer.events[0]).toEqual({ id: expect.stringMatching(/^c[0-9a-z]+-0$/), retry: "1000", data: "" });
    (await conducted.call("a")).answer("done");
    await answer.ended();
    expect(answer.messages).toMatchObject([{ id: 1, result: { content: [{ text: "done" }] } }]);
    expect(answer.end).toBe("whole");
  });

  test.each(["2025-06-18", "2025-03-26"])(
    "is not primed for %s, whose clients can't parse empty data",
    async (version) => {
      const client = await RawClient.begin(serving.url, { version });
      const answer = await client.startCall("wait", { name: "a" });
      const call = await conducted.call("a");
      await call.progress(1);
      call.answer("done");
      await answer.ended();
      expect(answer.events.map(({ data }) => data === "")).toEqual([false, false]);
      // Ids are there all the same: these revisions can resume, too.
      expect(answer.events.every(({ id }) => id !== undefined)).toBe(true);
    },
  );

  test("gives what it sends on the way in the order in which it was sent, each with its number", async () => {
    const client = await RawClient.begin(serving.url);
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    for (let n = 1; n <= 50; n += 1) await call.progress(n);
    call.answer("done");
    await answer.ended();
    const progress = answer.messages.slice(0, -1).map(({ params }) => params?.progress);
    expect(progress).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    const ids = answer.events.flatMap(({ id }) => id ?? []);
    expect(new Set(ids).size).toBe(52);
  });
});

describe("a request of the server to its client", () => {
  const question = {
    mode: "form" as const,
    message: "Which?",
    requestedSchema: { type: "object" as const, properties: { which: { type: "string" as const } } },
  };

  test("leaves at once on the calling stream, although the call has no answer yet", async () => {
    const client = await RawClient.begin(serving.url, { capabilities: { elicitation: {} } });
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    const elicited = call.ctx.mcpReq.send({ method: "elicitation/create", params: question });
    const [request] = await answer.received(1);
    expect(request).toMatchObject({ method: "elicitation/create", params: { message: "Which?" } });
    const reply = { jsonrpc: "2.0", id: request?.id, result: { action: "accept", content: { which: "this" } } };
    expect((await client.post(reply)).status).toBe(202);
    await expect(elicited).resolves.toMatchObject({ content: { which: "this" } });
    call.answer("done");
    await answer.ended();
    expect(answer.messages).toHaveLength(2);
  });
});

describe("a call whose connection the server ends (polling)", () => {
  test("goes on, and its client comes back for the rest", async () => {
    const client = await RawClient.begin(serving.url);
    const first = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    call.ctx.http?.closeSSE?.();
    await first.ended();
    expect(first.end).toBe("whole");
    await call.progress(1);
    const second = await client.listen(first.lastEventId);
    await second.received(1);
    call.ctx.http?.closeSSE?.();
    await second.ended();
    call.answer("done");
    const third = await (await client.listen(second.lastEventId)).ended();
    expect(third.messages).toMatchObject([{ id: 1, result: { content: [{ text: "done" }] } }]);
  });

  test("is not offered to revisions that can't be primed", async () => {
    const client = await RawClient.begin(serving.url, { version: "2025-06-18" });
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    expect(call.ctx.http?.closeSSE).toBeUndefined();
    call.answer("done");
    await answer.ended();
  });

  test("may end the standalone stream in the same way", async () => {
    const client = await RawClient.begin(serving.url);
    const { announce } = conducted.session(client.session);
    const standalone = await client.listen();
    await announce(1);
    await standalone.received(1);
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    call.ctx.http?.closeStandaloneSSE?.();
    expect((await standalone.ended()).end).toBe("whole");
    await announce(2);
    const again = await client.listen(standalone.lastEventId);
    expect((await again.received(1)).map(({ params }) => params?.data)).toEqual([{ n: 2 }]);
    call.answer("done");
    await answer.ended();
  });
});

describe("a cancelled call", () => {
  const cancel = (requestId: unknown) => ({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } });

  test("is told to the server, and its stream ends without a response", async () => {
    const client = await RawClient.begin(serving.url);
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    expect((await client.post(cancel(1))).status).toBe(202);
    await answer.ended();
    expect(answer.end).toBe("whole");
    expect(answer.messages).toEqual([]);
    expect(call.aborted).toBe(true);
    expect(serving.node.sessions()[0]?.inFlight).toBe(0);
  });

  test("frees its id, and a result that comes too late goes nowhere", async () => {
    const client = await RawClient.begin(serving.url);
    const answer = await client.startCall("wait", { name: "a" }, 7);
    const call = await conducted.call("a");
    await client.post(cancel(7));
    await answer.ended();
    const next = await client.startCall("wait", { name: "b" }, 7);
    call.answer("too late");
    (await conducted.call("b")).answer("its own");
    await next.ended();
    expect(next.messages).toMatchObject([{ id: 7, result: { content: [{ text: "its own" }] } }]);
  });

  test.each([[2], ["1"], [null], [{}], [undefined], ["__proto__"]])(
    "with the id %j, which is none of its own, harms nothing",
    async (id) => {
      const client = await RawClient.begin(serving.url);
      const answer = await client.startCall("wait", { name: "a" });
      const call = await conducted.call("a");
      expect((await client.post(cancel(id))).status).toBe(202);
      call.answer("done");
      await answer.ended();
      expect(answer.messages).toHaveLength(1);
    },
  );
});
