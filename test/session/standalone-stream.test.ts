import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConductedServer, type ConductedSession } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { type RawAnswer, RawClient } from "../support/raw-client.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let client: RawClient;
let session: ConductedSession;

beforeEach(async () => {
  conducted = new ConductedServer();
  serving = await serve(conducted.definition);
  client = await RawClient.begin(serving.url);
  session = conducted.session(client.session);
});

afterEach(async () => {
  await serving.stop();
});

const numbers = (answer: RawAnswer) => answer.messages.map(({ params }) => (params as { data: { n: number } }).data.n);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const streams = () => serving.node.sessions()[0]?.streams;

describe("the standalone stream", () => {
  test("delivers what was sent before the first GET, once", async () => {
    for (const n of [1, 2, 3]) await session.announce(n);
    const first = await client.listen();
    await first.received(3);
    await session.announce(4);
    await first.received(4);
    expect(numbers(first)).toEqual([1, 2, 3, 4]);
    first.cut();
    await eventually(() => expect(streams()).toBe(0));
    const second = await client.listen();
    await session.announce(5);
    await second.received(1);
    expect(numbers(second)).toEqual([5]);
  });

  test("gives its head, and for 2025-11-25 an id, before there is any message", async () => {
    const stream = await client.listen();
    expect(stream.status).toBe(200);
    await eventually(() => expect(stream.lastEventId).toBe("s-0"));
    const older = await RawClient.begin(serving.url, { version: "2025-06-18" });
    const silent = await older.listen();
    expect([silent.status, silent.text]).toEqual([200, ""]);
  });

  test("can be resumed from its priming event", async () => {
    const first = await client.listen();
    await eventually(() => expect(first.lastEventId).toBeDefined());
    first.cut();
    await session.announce(1);
    const second = await client.listen(first.lastEventId);
    await second.received(1);
    expect(numbers(second)).toEqual([1]);
  });

  test("loses and repeats nothing under 40 cuts at any moment", async () => {
    const count = 2_000;
    const seen: number[] = [];
    let sent = 0;
    const sending = (async () => {
      while (sent < count) {
        sent += 1;
        await session.announce(sent);
        // Never further ahead than what is retained.
        do await new Promise((resolve) => setImmediate(resolve));
        while (sent - seen.length > 500);
      }
    })();
    let lastEventId: string | undefined;
    for (let cuts = 0; seen.length < count; cuts += 1) {
      const stream = await client.listen(lastEventId);
      // A different number each time, so that the cuts fall between all kinds of moments.
      const wanted = Math.min(count - seen.length, cuts < 40 ? 1 + ((cuts * 37) % 50) : count);
      await stream.received(wanted);
      stream.cut();
      seen.push(...numbers(stream));
      lastEventId = stream.lastEventId;
    }
    await sending;
    expect(seen).toEqual(upTo(count));
  });

  test("is one per session: a second GET gets 409, and the first goes on", async () => {
    const first = await client.listen();
    const second = await (await client.listen()).ended();
    expect(second.status).toBe(409);
    expect(second.message).toMatchObject({
      id: null,
      error: { message: expect.stringContaining("Only one SSE stream") },
    });
    await session.announce(1);
    await first.received(1);
  });

  test("goes to a GET with Last-Event-ID although a half-dead connection still holds it", async () => {
    const halfDead = await client.listen();
    await session.announce(1);
    await halfDead.received(1);
    halfDead.pause();
    const next = await client.listen(halfDead.lastEventId);
    expect(next.status).toBe(200);
    await session.announce(2);
    await next.received(1);
    expect(numbers(next)).toEqual([2]);
    expect(streams()).toBe(1);
    halfDead.resume();
    expect(await halfDead.ended()).toMatchObject({ end: "whole" });
    expect(numbers(halfDead)).toEqual([1]);
  });

  test("carries no answer to a call, and calls carry none of its messages", async () => {
    const stream = await client.listen();
    const call = await client.startCall("wait", { name: "a" });
    await session.announce(1);
    (await conducted.call("a")).answer("done");
    await call.ended();
    await stream.received(1);
    expect(call.messages.map(({ method }) => method)).toEqual([undefined]);
    expect(stream.messages.map(({ method }) => method)).toEqual(["notifications/message"]);
  });
});
