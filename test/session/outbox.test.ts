import { afterEach, describe, expect, test } from "vitest";
import type { SessionHost } from "../../src/session/session.ts";
import { eventually } from "../support/eventually.ts";
import { FakeSink } from "./fake-sink.ts";
import { idsOf, KeptSession, messagesOf, textOf } from "./kept-session.ts";

let kept: KeptSession;

afterEach(async () => {
  await kept.close();
});

async function open(more: Partial<SessionHost> = {}): Promise<void> {
  kept = await KeptSession.open("v2", more);
}

const announced = (sink: FakeSink) => messagesOf(sink).map(({ params }) => (params as { data: { n: number } }).data.n);

describe("a call that changes nothing", () => {
  test("costs no write", async () => {
    await open();
    for (let n = 0; n < 20; n += 1) expect(await kept.callText("echo")).toBe("echo");
    expect(kept.store.begun).toEqual([]);
  });

  test("leaves in the very turn in which its server answers", async () => {
    await open();
    const sink = new FakeSink();
    const { transport } = kept.session;
    transport.onmessage = (message) => {
      void transport.send({ jsonrpc: "2.0", id: message.id as number, result: {} });
      expect(sink.ended).toBe(true);
    };
    kept.call("echo", 1, sink);
    expect.assertions(1);
  });
});

describe("a call that changes state", () => {
  test("is answered when the change is written, and not before", async () => {
    await open();
    kept.store.answers = undefined;
    const sink = kept.call("count");
    const write = await kept.store.next();
    expect(write.changes.state).toEqual({ count: '{"d":1}' });
    expect(sink.headersSent).toBe(false);
    write.end("written");
    await kept.ended(sink);
    expect(textOf(sink)).toBe("1");
    expect(sink.writes).toHaveLength(1);
  });

  test("is answered in its turn: what comes during a write shares the next one", async () => {
    await open();
    kept.store.answers = undefined;
    const order: number[] = [];
    const sinks = Array.from({ length: 10 }, (_, index) => {
      const sink = new FakeSink();
      sink.once("close", () => order.push(index));
      return sink;
    });
    kept.call("count", 100, sinks[0]);
    const first = await kept.store.next();
    for (let index = 1; index < 10; index += 1)
      kept.call(index % 3 === 0 ? "echo" : "count", 100 + index, sinks[index]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(kept.store.waiting).toBe(0);
    first.end("written");
    const second = await kept.store.next();
    expect(order).toEqual([0]);
    second.end("written");
    await eventually(() => expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    expect(second.changes.state).toEqual({ count: '{"d":7}' });
  });

  test("counts also when the change was made in place", async () => {
    await open();
    expect(await kept.callText("push")).toBe("1");
    expect(await kept.callText("push")).toBe("2");
    expect(kept.store.stored.state).toEqual({ list: '{"d":[0,1]}' });
  });

  test("to what can't be kept fails, says so, and takes no other change with it", async () => {
    await open();
    await kept.callText("push");
    const sink = await kept.ended(kept.call("spoil"));
    expect(messagesOf(sink)).toMatchObject([{ result: { isError: true } }]);
    expect(textOf(sink)).toMatch(/"list".*bigint/i);
    expect(await kept.callText("push")).toBe("2");
    expect(kept.store.stored.state).toEqual({ list: '{"d":[0,1]}', count: '{"d":1}' });
  });
});

describe("a change that no message tells of", () => {
  test("is written within 100 ms", async () => {
    await open();
    const [context] = kept.stage.contexts;
    const since = performance.now();
    (context as NonNullable<typeof context>).state("count", 0).value = 7;
    await eventually(() => expect(kept.store.stored.state).toEqual({ count: '{"d":7}' }), 1_000, 2);
    // Some slack for the machine; the wait itself is 50 ms.
    expect(performance.now() - since).toBeLessThan(150);
  });
});

describe("a message on the standalone stream", () => {
  test("is logged before it leaves, with the state that it stands for, as one write", async () => {
    await open();
    const stream = kept.listen();
    kept.store.answers = undefined;
    const [context] = kept.stage.contexts;
    (context as NonNullable<typeof context>).state("count", 0).value = 1;
    void kept.stage.announce[0]?.(1);
    const write = await kept.store.next();
    expect(write.changes).toMatchObject({
      state: { count: '{"d":1}' },
      events: [{ stream: "s", sequence: 1, json: expect.stringContaining('"n":1') }],
    });
    expect(messagesOf(stream)).toEqual([]);
    write.end("written");
    await eventually(() => expect(announced(stream)).toEqual([1]));
    void kept.stage.announce[0]?.(2);
    expect((await kept.store.next()).changes).toMatchObject({ carried: 1 });
  });

  test("is not given to a connection that comes before it may leave, and follows then", async () => {
    await open();
    kept.store.answers = undefined;
    void kept.stage.announce[0]?.(1);
    const write = await kept.store.next();
    const stream = kept.listen();
    expect(messagesOf(stream)).toEqual([]);
    write.end("written");
    await eventually(() => expect(announced(stream)).toEqual([1]));
    expect(idsOf(stream)).toEqual(["s-0", "s-1"]);
  });
});

describe("while the registry is away", () => {
  test("what waited leaves, and is written when it is back", async () => {
    let unlogged = 0;
    await open({
      leftUnlogged: (_session, count) => {
        unlogged += count;
      },
    });
    const stream = kept.listen();
    kept.store.answers = "unavailable";
    expect(await kept.callText("count")).toBe("1");
    expect(await kept.callText("count")).toBe("2");
    for (const n of [1, 2]) await kept.stage.announce[0]?.(n);
    await eventually(() => expect(announced(stream)).toEqual([1, 2]));
    expect(unlogged).toBe(2);
    expect(kept.store.boundaries).toHaveLength(1);
    kept.store.back();
    await eventually(() => expect(kept.store.stored.state).toEqual({ count: '{"d":2}' }));
    expect(kept.store.stored).toMatchObject({ sequence: 2, events: [{ sequence: 1 }, { sequence: 2 }], carried: 2 });
    expect(unlogged).toBe(2);
  });

  test("what is unwritten goes with the next write that succeeds, also if nobody says that it is back", async () => {
    await open();
    kept.store.answers = "unavailable";
    await kept.callText("count");
    await kept.callText("push");
    kept.store.answers = "written";
    await kept.callText("count");
    expect(kept.store.stored.state).toEqual({ count: '{"d":2}', list: '{"d":[0]}' });
  });

  test("a session holds no more of it than it retains", async () => {
    await open();
    kept.store.answers = "unavailable";
    for (let n = 1; n <= 1_500; n += 1) await kept.stage.announce[0]?.(n);
    kept.store.back();
    await eventually(() => expect(kept.store.stored.sequence).toBe(1_500));
    expect(kept.store.stored.events).toHaveLength(1_000);
  });

  test("with strict durability an answer waits, and leaves if it is back in time", async () => {
    await open({ strict: { holdMs: 10_000 } });
    kept.store.answers = "unavailable";
    const sink = kept.call("count");
    await eventually(() => expect(kept.store.begun).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sink.headersSent).toBe(false);
    kept.store.back();
    await kept.ended(sink);
    expect(textOf(sink)).toBe("1");
  });

  test("with strict durability a call fails after the hold time, and says that its changes are not kept", async () => {
    await open({ strict: { holdMs: 60 } });
    kept.store.answers = "unavailable";
    const sink = await kept.ended(kept.call("count"));
    expect(messagesOf(sink)).toMatchObject([{ result: { isError: true } }]);
    expect(textOf(sink)).toMatch(/could not be kept/);
    kept.store.back();
    await eventually(() => expect(kept.store.stored.state).toEqual({ count: '{"d":1}' }));
    expect(await kept.callText("count")).toBe("2");
  });
});

describe("a session that is another node's", () => {
  test("lets nothing leave once a write has said so", async () => {
    await open();
    const stream = kept.listen();
    kept.store.answers = "lost";
    const sink = kept.call("count");
    void kept.stage.announce[0]?.(1);
    await eventually(() => expect(kept.session.transport.outbox.isLost).toBe(true));
    const echo = kept.call("echo");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([sink.headersSent, messagesOf(stream)]).toEqual([false, []]);
    expect(echo).toMatchObject({ status: 404 });
    expect(echo.text).toContain('"next":"retry"');
  });

  test("lets nothing leave once its lease is over, whatever it does", async () => {
    await open();
    const sink = new FakeSink();
    const { transport } = kept.session;
    transport.onmessage = (message) => {
      kept.store.isOwner = false;
      void transport.send({ jsonrpc: "2.0", id: message.id as number, result: {} });
    };
    kept.call("echo", 1, sink);
    expect(sink.headersSent).toBe(false);
    await kept.session.close("owner-lost");
    expect(messagesOf(sink)).toMatchObject([{ id: 1, result: { isError: true } }]);
    expect(textOf(sink)).toMatch(/may or may not have run/);
  });

  test("ends its streams without a last word, so that their clients ask elsewhere", async () => {
    await open();
    const stream = kept.listen();
    const call = kept.call("look");
    await eventually(() => expect(call.headersSent).toBe(true));
    const writes = kept.store.begun.length;
    await kept.session.close("owner-lost");
    expect([stream.ended, call.ended]).toEqual([true, true]);
    expect([messagesOf(stream), messagesOf(call)]).toEqual([[], []]);
    expect(kept.store.begun).toHaveLength(writes);
  });
});

describe("a session whose node stops", () => {
  test("writes what is unwritten first", async () => {
    await open();
    const [context] = kept.stage.contexts;
    (context as NonNullable<typeof context>).state("count", 0).value = 3;
    await kept.session.close("node-stopping");
    expect(kept.store.stored.state).toEqual({ count: '{"d":3}' });
  });
});
