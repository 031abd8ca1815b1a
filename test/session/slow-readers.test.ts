import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collectGarbage } from "../support/collect-garbage.ts";
import { ConductedServer } from "../support/conducted-server.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

let conducted: ConductedServer;
let serving: Serving;
let client: RawClient;
let log: RecordedLog;

beforeEach(async () => {
  conducted = new ConductedServer();
  log = new RecordedLog();
  serving = await serve(conducted.definition, { log });
  client = await RawClient.begin(serving.url);
});

afterEach(async () => {
  await serving.stop();
});

const kib = 1024;

describe("a client that doesn't read", () => {
  test("has its stream ended before much waits for it, can resume it, and the log says so", async () => {
    const session = conducted.session(client.session);
    const stream = await client.listen();
    stream.pause();
    const padding = "x".repeat(64 * kib);
    let sent = 0;
    // The kernel's own buffers take a few megabytes before Node's fill.
    while (log.of("stream-overflowed").length === 0 && sent < 1_000) {
      sent += 1;
      await session.announce(sent, padding);
      if (sent % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(log.of("stream-overflowed")).toEqual([{ session: client.session, stream: "s" }]);
    expect(serving.node.sessions()[0]?.streams).toBe(0);
    await session.announce(sent + 1);
    stream.resume();
    await stream.ended();
    expect(stream.end).toBe("whole");
    const seen = stream.messages.length;
    const rest = await client.listen(stream.lastEventId);
    await rest.received(sent + 1 - seen);
    const numbers = [...stream.messages, ...rest.messages].map(
      ({ params }) => (params as { data: { n: number } }).data.n,
    );
    expect(numbers).toEqual(Array.from({ length: sent + 1 }, (_, index) => index + 1));
  });

  test("costs a bounded amount of memory, however much is sent to it", async () => {
    const session = conducted.session(client.session);
    const stream = await client.listen();
    stream.pause();
    const padding = "x".repeat(64 * kib);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let n = 1; n <= 4_000; n += 1) {
      await session.announce(n, padding);
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    collectGarbage();
    // 250 MiB were sent. What may be held: 1 MiB to be resumed, and about 1 MiB unread.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * kib * kib);
    stream.cut();
  });

  test("harms no other session on the node", async () => {
    const stream = await client.listen();
    stream.pause();
    const other = await RawClient.begin(serving.url);
    const padding = "x".repeat(256 * kib);
    for (let n = 1; n <= 50; n += 1) {
      await conducted.session(client.session).announce(n, padding);
      expect(await other.call("echo", { text: "a" })).toMatchObject({ result: { content: [{ text: "a" }] } });
    }
    stream.cut();
  });
});

describe("a client that reads", () => {
  test("keeps its stream when a single message is larger than what may wait unread", async () => {
    const session = conducted.session(client.session);
    const stream = await client.listen();
    const padding = "x".repeat(3 * kib * kib);
    await session.announce(1, padding);
    await stream.received(1);
    await session.announce(2, padding);
    await stream.received(2);
    expect(log.of("stream-overflowed")).toEqual([]);
    expect(stream.end).toBe("open");
  });

  test("keeps its call's stream, too", async () => {
    const answer = await client.startCall("wait", { name: "a" });
    const call = await conducted.call("a");
    await call.progress(1, "x".repeat(3 * kib * kib));
    await answer.received(1);
    call.answer("y".repeat(3 * kib * kib));
    await answer.ended();
    expect(answer.messages).toHaveLength(2);
    expect(log.of("stream-overflowed")).toEqual([]);
  });
});

test("a stream without messages carries a comment now and then, which no client takes for one", async () => {
  const stream = await client.listen();
  // The real round takes 15 s; each stream's turn within it may come at any time.
  await eventually(() => expect(stream.text).toContain(": keepalive\n\n"), 17_000, 100);
  expect(stream.messages).toEqual([]);
  stream.cut();
});
