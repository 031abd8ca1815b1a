import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { type RawAnswer, RawClient } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let client: RawClient;

beforeEach(async () => {
  conducted = new ConductedServer();
  serving = await serve(conducted.definition);
  client = await RawClient.begin(serving.url);
});

afterEach(async () => {
  await serving.stop();
});

const streams = () => serving.node.sessions().reduce((sum, session) => sum + session.streams, 0);

/** Cuts a connection, and waits until the node has noticed. */
async function cut(answer: RawAnswer): Promise<void> {
  const before = streams();
  answer.cut();
  await eventually(() => expect(streams()).toBe(before - 1));
}

const progressOf = (answer: RawAnswer) => answer.messages.flatMap(({ params }) => (params?.progress as number) ?? []);

describe("a call whose connection is cut", () => {
  test("gives the rest to whoever asks with Last-Event-ID, also after a second cut", async () => {
    const first = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    await call.progress(1);
    await call.progress(2);
    await first.received(2);
    await cut(first);
    await call.progress(3);
    const second = await client.listen(first.lastEventId);
    await call.progress(4);
    await second.received(2);
    await cut(second);
    await call.progress(5);
    call.answer("done");
    const third = await (await client.listen(second.lastEventId)).ended();
    expect([first, second, third].map(progressOf)).toEqual([[1, 2], [3, 4], [5]]);
    expect(third.messages.at(-1)).toMatchObject({ id: 1, result: { content: [{ text: "done" }] } });
    expect(third.end).toBe("whole");
  });

  test("gives everything to a client that saw nothing but the priming event", async () => {
    const first = await client.startCall("wait", { name: "a" });
    await eventually(() => expect(first.lastEventId).toBeDefined());
    await cut(first);
    const call = await conducted.call("a");
    await call.progress(1);
    call.answer("done");
    const second = await (await client.listen(first.lastEventId)).ended();
    expect(second.messages).toHaveLength(2);
  });

  test("primes the resumed connection too, or a client could not ask a third time", async () => {
    const first = await client.startCall("wait", { name: "a" });
    await eventually(() => expect(first.lastEventId).toBeDefined());
    await cut(first);
    const second = await client.listen(first.lastEventId);
    await eventually(() => expect(second.lastEventId).toBe(first.lastEventId));
    await cut(second);
    (await conducted.call("a")).answer("done");
    const third = await (await client.listen(second.lastEventId)).ended();
    expect(third.messages).toHaveLength(1);
  });

  test("is never cancelled by that", async () => {
    const first = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    await eventually(() => expect(first.lastEventId).toBeDefined());
    await cut(first);
    expect(call.aborted).toBe(false);
    expect(serving.node.sessions()[0]?.inFlight).toBe(1);
    call.answer("done");
    await eventually(() => expect(serving.node.sessions()[0]?.inFlight).toBe(0));
  });

  test("is taken over by a client that comes back before the node has noticed the cut", async () => {
    const first = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    await call.progress(1);
    await first.received(1);
    const second = await client.listen(first.lastEventId);
    await call.progress(2);
    call.answer("done");
    await second.ended();
    await first.ended();
    expect([first, second].map(progressOf)).toEqual([[1], [2]]);
  });

  test("may have ended meanwhile: the rest is there, then nothing more (204)", async () => {
    const first = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    await call.progress(1);
    await first.received(1);
    await cut(first);
    call.answer("done");
    await eventually(() => expect(serving.node.sessions()[0]?.inFlight).toBe(0));
    const rest = await (await client.listen(first.lastEventId)).ended();
    expect(rest.messages).toMatchObject([{ id: 1, result: { content: [{ text: "done" }] } }]);
    expect(rest.headers["content-length"]).toBe(String(Buffer.byteLength(rest.text)));
    const nothing = await (await client.listen(rest.lastEventId)).ended();
    expect([nothing.status, nothing.text]).toEqual([204, ""]);
    // Whoever lost the rest on its way may ask again.
    const again = await (await client.listen(first.lastEventId)).ended();
    expect(again.messages).toEqual(rest.messages);
  });

  test("answers each of many lost calls with its own result", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `call ${index}`);
    const lost = await Promise.all(names.map((name) => client.startCall("wait", { name })));
    for (const answer of lost) await eventually(() => expect(answer.lastEventId).toBeDefined());
    for (const answer of lost) answer.cut();
    for (const name of names) (await conducted.call(name)).answer(`result of ${name}`);
    for (const [index, answer] of lost.entries()) {
      const rest = await (await client.listen(answer.lastEventId)).ended();
      expect(rest.messages).toMatchObject([{ result: { content: [{ text: `result of ${names[index]}` }] } }]);
    }
  });
});

describe("an event id", () => {
  async function expectGone(id: string, message: RegExp): Promise<void> {
    const answer = await (await client.listen(id)).ended();
    expect(answer.status).toBe(400);
    expect(answer.message).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: { message: expect.stringMatching(message) },
    });
  }

  test.each(["s-5", "c1-7", "c999-0", "czzzzzzzz-1"])(
    "%s, never given out, is refused with a word on why",
    async (id) => {
      await expectGone(id, /not kept any more.*without Last-Event-ID/);
    },
  );

  test.each([
    "nonsense",
    "",
    "s",
    "s-",
    "s-x",
    "s--1",
    "S-1",
    "c-1",
    "__proto__-1",
    "s-99999999999999999999",
    "s-1, s-2",
  ])("%j, malformed, is refused", async (id) => {
    await expectGone(id, /Invalid event ID/);
  });

  test("of another session's stream leads nowhere, even if it looks right", async () => {
    const other = await RawClient.begin(serving.url);
    const answer = await other.startCall("wait", { name: "its own" });
    await eventually(() => expect(answer.lastEventId).toBeDefined());
    await expectGone(answer.lastEventId as string, /not kept any more/);
    (await conducted.call("its own")).answer("done");
    await answer.ended();
  });

  test("whose events are no longer retained is refused, never answered with less", async () => {
    const first = await client.listen();
    const { announce } = conducted.session(client.session);
    await announce(1);
    await first.received(1);
    await cut(first);
    for (let n = 2; n <= 1_003; n += 1) await announce(n);
    await expectGone(first.lastEventId as string, /not kept any more/);
    // What the answer advises works: the stream goes on for this client.
    const next = await client.listen();
    expect(next.status).toBe(200);
    await announce(1_004);
    await eventually(() => expect(next.messages.at(-1)?.params?.data).toEqual({ n: 1_004 }));
  });
});
