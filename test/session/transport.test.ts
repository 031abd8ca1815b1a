import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HoldBack } from "../../src/session/hold-back.ts";
import { KeepAlive } from "../../src/session/keep-alive.ts";
import { RetainedEvents } from "../../src/session/retained-events.ts";
import { SessionTransport } from "../../src/session/transport.ts";
import { FakeSink } from "./fake-sink.ts";

const origin = { method: "POST", url: "/mcp", headers: { host: "localhost" } };
const keepAlive = new KeepAlive();
let retained: RetainedEvents;

function open(answerAsJson = false): SessionTransport {
  retained = new RetainedEvents();
  const ring = retained.ring();
  return new SessionTransport({
    sessionId: "id",
    ring,
    keepAlive,
    holdBack: new HoldBack(),
    answerAsJson,
    now: () => 0,
    overflowed() {},
  });
}

/** A transport whose session has settled on the newest revision. */
async function initialized(answerAsJson = false): Promise<SessionTransport> {
  const transport = open(answerAsJson);
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x", version: "1" } };
  transport.accept([{ jsonrpc: "2.0", id: 0, method: "initialize", params }], new FakeSink(), origin);
  await transport.send({ jsonrpc: "2.0", id: 0, result: { protocolVersion: "2025-11-25" } });
  return transport;
}

const request = (id: number | string) => ({ jsonrpc: "2.0" as const, id, method: "tools/call", params: {} });
const notification = { jsonrpc: "2.0" as const, method: "notifications/progress", params: { progressToken: 1 } };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  // The timer of quick answers looks once more after the last of them.
  vi.advanceTimersByTime(20);
  expect(vi.getTimerCount(), "timers left").toBe(0);
  vi.useRealTimers();
});

describe("an answer within 20 ms", () => {
  test("is written at once, when it is whole", async () => {
    const transport = await initialized();
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    await transport.send(notification, { relatedRequestId: 1 });
    vi.advanceTimersByTime(19);
    expect(sink.headersSent).toBe(false);
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    expect(sink).toMatchObject({ status: 200, ended: true });
    expect(sink.writes).toHaveLength(1);
    expect(sink.text.match(/^data: /gm)).toHaveLength(2);
  });

  test("as JSON holds the response, and never something else in its place", async () => {
    const transport = await initialized(true);
    const [answered, cancelled] = [new FakeSink(), new FakeSink()];
    transport.accept([request(1)], answered, origin);
    await transport.send({ jsonrpc: "2.0", id: 1, result: { a: 1 } });
    expect(answered.headers.get("content-type")).toBe("application/json");
    transport.accept([request(2)], cancelled, origin);
    await transport.send(notification, { relatedRequestId: 2 });
    const cancel = { jsonrpc: "2.0" as const, method: "notifications/cancelled", params: { requestId: 2 } };
    transport.accept([cancel], new FakeSink(), origin);
    expect(cancelled.ended).toBe(true);
    expect(cancelled.headers.get("content-type")).toBe("text/event-stream");
  });
});

describe("an answer that takes longer", () => {
  test("gets its head and a priming event after 20 ms, then numbered events", async () => {
    const transport = await initialized();
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    vi.advanceTimersByTime(20);
    expect(sink.status).toBe(200);
    expect(sink.writes).toEqual(["id: c2-0\nretry: 1000\ndata: \n\n"]);
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    expect(sink.writes[1]).toMatch(/^event: message\nid: c2-1\ndata: /);
    expect(sink.ended).toBe(true);
  });

  test("whose client is gone by then goes on, and writes nothing", async () => {
    const transport = await initialized();
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    sink.destroyed = true;
    vi.advanceTimersByTime(20);
    expect(transport.inFlight).toBe(1);
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    expect(transport.inFlight).toBe(0);
    expect(sink.writes).toEqual([]);
  });
});

test("a stream whose client is gone before it begins carries nothing away", async () => {
  const transport = await initialized();
  await transport.send(notification);
  const [gone, next] = [new FakeSink(), new FakeSink()];
  gone.destroyed = true;
  transport.listen(gone);
  expect(transport.streams).toBe(0);
  transport.listen(next);
  expect(next.text).toContain("notifications/progress");
  await transport.close();
});

describe("a server that misbehaves harms no session but its own", () => {
  test("one that throws on a message: its client gets an error, and nothing is left of the call", async () => {
    const transport = await initialized();
    const errors: Error[] = [];
    transport.onerror = (error) => errors.push(error);
    transport.onmessage = () => {
      throw new Error("it broke");
    };
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    vi.advanceTimersByTime(100);
    expect(sink).toMatchObject({ status: 200, ended: true });
    expect(sink.text).toContain('"code":-32603');
    expect(sink.text).not.toContain("it broke");
    expect(errors.map(({ message }) => message)).toEqual(["it broke"]);
    expect(transport.inFlight).toBe(0);
  });

  test("one that throws on a notification", async () => {
    const transport = await initialized();
    const errors: Error[] = [];
    transport.onerror = (error) => errors.push(error);
    transport.onmessage = () => {
      throw new Error("it broke");
    };
    const sink = new FakeSink();
    transport.accept([notification], sink, origin);
    expect(sink).toMatchObject({ status: 202, ended: true });
    expect(errors).toHaveLength(1);
  });

  test("one whose result can't be written as JSON: its client gets an error instead of waiting forever", async () => {
    const transport = await initialized();
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    await expect(transport.send({ jsonrpc: "2.0", id: 1, result: { n: 1n } })).rejects.toThrow(/BigInt/);
    expect(sink).toMatchObject({ status: 200, ended: true });
    expect(sink.text).toContain('"code":-32603');
    expect(transport.inFlight).toBe(0);
  });

  test("one that sends something on a call that is over", async () => {
    const transport = await initialized();
    const errors: Error[] = [];
    transport.onerror = (error) => errors.push(error);
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    await transport.send(notification, { relatedRequestId: 1 });
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    expect(errors).toHaveLength(2);
    expect(sink.writes).toHaveLength(1);
  });

  test("one that ends the connection of a call that is over", async () => {
    const transport = await initialized();
    let close: (() => void) | undefined;
    transport.onmessage = (_message, extra) => {
      close = extra?.closeSSEStream;
    };
    transport.accept([request(1)], new FakeSink(), origin);
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    expect(close).toBeTypeOf("function");
    expect(() => close?.()).not.toThrow();
    expect(transport.streams).toBe(0);
  });

  test("one that goes on sending after its session has ended holds no memory of the node", async () => {
    const transport = await initialized();
    await transport.close();
    await transport.send(notification).catch(() => {});
    expect(retained.bytes).toBe(0);
  });
});

describe("a session that has ended", () => {
  test("answers a call that comes too late with an error", async () => {
    const transport = await initialized();
    await transport.close();
    const sink = new FakeSink();
    transport.accept([request(1)], sink, origin);
    vi.advanceTimersByTime(100);
    expect(sink).toMatchObject({ ended: true });
    expect(sink.text).toContain('"code":-32001');
    expect(transport.inFlight).toBe(0);
  });

  test("takes no stream that nothing would ever end", async () => {
    const transport = await initialized();
    await transport.close();
    const sink = new FakeSink();
    transport.listen(sink);
    expect(sink.ended).toBe(true);
    expect(keepAlive.size).toBe(0);
  });
});

describe("ids of every kind stay apart", () => {
  test.each(["__proto__", "constructor", "toString", "1", ""])("%j", async (id) => {
    const transport = await initialized();
    const [text, number] = [new FakeSink(), new FakeSink()];
    transport.accept([request(id)], text, origin);
    transport.accept([request(1)], number, origin);
    await transport.send({ jsonrpc: "2.0", id, result: { its: "text" } });
    expect(text.text).toContain('"its":"text"');
    expect(number.ended).toBe(false);
    await transport.send({ jsonrpc: "2.0", id: 1, result: { its: "number" } });
    expect(number.text).toContain('"its":"number"');
  });
});
