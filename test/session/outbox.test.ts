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

/** So long that everything has left which need not wait. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
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

describe("a call that changes a value to what can't be kept", () => {
  const list = () => kept.stage.contexts[0]?.state<unknown[]>("list", []).value as unknown[];

  test("is told so also if it is answered long after that was found", async () => {
    await open();
    const sink = kept.call("change");
    await eventually(() => expect(kept.stage.runs).toEqual(["change"]));
    list().push(1n);
    await eventually(() => expect(kept.errors).toHaveLength(1));
    await kept.stage.end();
    expect(textOf(await kept.ended(sink))).toMatch(/"list".*bigint/i);
    expect(await kept.callText("push")).toBe("1");
  });

  test("is told so also if a message of its own went before", async () => {
    await open();
    const sink = kept.call("change");
    await eventually(() => expect(kept.stage.runs).toEqual(["change"]));
    list().push(1n);
    await kept.stage.progress?.(1);
    // What begins later has no part in it.
    expect(await kept.callText("count")).toBe("1");
    await kept.stage.end();
    expect(textOf(await kept.ended(sink))).toMatch(/"list".*bigint/i);
  });

  test("is told so also if another call is answered before: nobody knows which of them it was", async () => {
    await open();
    const sink = kept.call("change");
    await eventually(() => expect(kept.stage.runs).toEqual(["change"]));
    list().push(1n);
    expect(await kept.callText("count")).toMatch(/"list".*bigint/i);
    await kept.stage.end();
    expect(textOf(await kept.ended(sink))).toMatch(/"list".*bigint/i);
    expect(kept.store.stored.state).toEqual({ count: '{"d":1}' });
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

  test("is written as soon where a call that used the state is a while ago", async () => {
    await open();
    await kept.callText("push");
    // What the call may have left behind is looked for ever more rarely.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const [context] = kept.stage.contexts;
    const since = performance.now();
    (context as NonNullable<typeof context>).state("count", 0).value = 7;
    await eventually(() => expect(kept.store.stored.state).toMatchObject({ count: '{"d":7}' }), 2_000, 2);
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

  test("an answer waits as long as another node may have it, and leaves as soon as all have promised", async () => {
    await open();
    kept.store.promised = false;
    kept.store.answers = "unavailable";
    const sinks = [kept.call("count"), kept.call("count")];
    await eventually(() => expect(kept.store.begun.length).toBeGreaterThan(0));
    await turn();
    expect(sinks.map(({ headersSent }) => headersSent)).toEqual([false, false]);
    kept.store.promise();
    for (const sink of sinks) await kept.ended(sink);
    expect(sinks.map(textOf)).toEqual(["1", "2"]);
    // From now on nobody waits.
    expect(await kept.callText("count")).toBe("3");
    kept.store.promised = false;
    const late = kept.call("count");
    await turn();
    expect(late.headersSent).toBe(false);
    kept.store.back();
    expect(textOf(await kept.ended(late))).toBe("4");
    expect(kept.store.stored.state).toEqual({ count: '{"d":4}' });
  });

  test("a call that nobody promised for fails after the hold time, and says that its changes are not kept", async () => {
    await open({ holdMs: 60 });
    kept.store.promised = false;
    kept.store.answers = "unavailable";
    const sink = await kept.ended(kept.call("count"));
    expect(messagesOf(sink)).toMatchObject([{ result: { isError: true } }]);
    expect(textOf(sink)).toMatch(/could not be kept/);
  });

  test("a hold of no time fails no call while the registry answers, however slowly", async () => {
    await open({ holdMs: 0 });
    kept.store.answers = undefined;
    const sink = kept.call("count");
    const write = await kept.store.next();
    await turn();
    write.end("written");
    expect(textOf(await kept.ended(sink))).toBe("1");
  });

  test("what only reads waits for nothing, unless its session has something unwritten", async () => {
    await open();
    kept.store.promised = false;
    kept.store.answers = "unavailable";
    expect(await kept.callText("echo")).toBe("echo");
    kept.call("count");
    const sink = kept.call("echo");
    await turn();
    expect(sink.headersSent).toBe(false);
  });

  test("what came during a write of what no message waits for leaves when that fails", async () => {
    await open();
    kept.store.promised = false;
    const noted = kept.call("look");
    await eventually(() => expect(noted.headersSent).toBe(true));
    kept.store.answers = undefined;
    await kept.stage.end();
    // That a call has ended.
    const write = await kept.store.next();
    expect(Object.keys(write.changes)).toEqual(["ended"]);
    const sink = kept.call("echo");
    await turn();
    expect(sink.headersSent).toBe(false);
    write.end("unavailable");
    await turn();
    expect(textOf(sink)).toBe("echo");
  });

  test("the head of an answer waits likewise until its call is noted, for the hold time at most", async () => {
    await open({ holdMs: 200 });
    kept.store.promised = false;
    kept.store.answers = "unavailable";
    const first = kept.call("change");
    await eventually(() => expect(kept.store.begun).toHaveLength(1));
    await turn();
    expect(first.headersSent).toBe(false);
    await eventually(() => expect(first.headersSent).toBe(true));
    const second = kept.call("change");
    await eventually(() => expect(kept.store.begun.length).toBeGreaterThan(1));
    expect(second.headersSent).toBe(false);
    kept.store.promise();
    await eventually(() => expect(second.headersSent).toBe(true));
    await kept.stage.end();
    await kept.stage.end();
    await kept.ended(first);
    await kept.ended(second);
  });

  test("a message on the standalone stream waits for longer: the next owner may give its number to another", async () => {
    await open({ holdMs: 60 });
    const stream = kept.listen();
    kept.store.promised = false;
    kept.store.answers = "unavailable";
    void kept.stage.announce[0]?.(1);
    const sink = await kept.ended(kept.call("count"));
    expect(textOf(sink)).toMatch(/could not be kept/);
    expect(announced(stream)).toEqual([]);
    kept.store.promise();
    expect(announced(stream)).toEqual([1]);
  });

  test("with strict durability an answer waits, and leaves if it is back in time", async () => {
    await open({ strict: true });
    kept.store.answers = "unavailable";
    const sink = kept.call("count");
    await eventually(() => expect(kept.store.begun).toHaveLength(1));
    kept.store.promise();
    await turn();
    expect(sink.headersSent).toBe(false);
    kept.store.back();
    await kept.ended(sink);
    expect(textOf(sink)).toBe("1");
  });

  test("with strict durability a call fails after the hold time, and says that its changes are not kept", async () => {
    await open({ strict: true, holdMs: 60 });
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

  test("answers each call in flight whose head had not left: without a word its client takes it for never begun", async () => {
    await open();
    kept.store.answers = undefined;
    const noted = kept.call("look");
    (await kept.store.next()).end("written");
    await eventually(() => expect(noted.headersSent).toBe(true));
    // One runs and is not noted yet, one is answered and not written yet, one has just begun.
    const running = kept.call("change");
    await kept.store.next();
    const answered = kept.call("count");
    const young = kept.call("change");
    await turn();
    await kept.session.close("owner-lost");
    for (const sink of [running, answered, young]) {
      expect(sink).toMatchObject({ status: 200, ended: true });
      expect(messagesOf(sink)).toMatchObject([{ result: { isError: true } }]);
      expect(textOf(sink)).toMatch(/may or may not have run/);
    }
    // This one's client asks the next owner, which knows of the call.
    expect([noted.ended, messagesOf(noted)]).toEqual([true, []]);
  });

  describe("answers, although its own answer is what found that out and nobody else knows of it,", () => {
    /** As a node does with all its sessions, as soon as it is asked and its right is over. */
    const endWithRight = () => {
      const { store, session } = kept;
      store.owns = () => {
        if (!store.isOwner) void session.close("owner-lost");
        return store.isOwner;
      };
    };

    test("a call", async () => {
      await open();
      endWithRight();
      const { transport } = kept.session;
      transport.onmessage = (message) => {
        kept.store.isOwner = false;
        void transport.send({ jsonrpc: "2.0", id: message.id as number, result: {} });
      };
      expect(textOf(await kept.ended(kept.call("echo", 1)))).toMatch(/may or may not have run/);
      expect(kept.session.transport.inFlight).toBe(0);
    });

    test("a repeat", async () => {
      await open();
      const first = kept.call("change", 1, Object.assign(new FakeSink(), { reads: false }));
      await kept.stage.end();
      await kept.ended(first);
      endWithRight();
      const { outbox } = kept.session.transport;
      const wake = outbox.wake.bind(outbox);
      // Between the look at the session and its answer.
      outbox.wake = () => {
        wake();
        kept.store.isOwner = false;
      };
      expect(textOf(await kept.ended(kept.call("change", 1)))).toMatch(/may or may not have run/);
      expect(kept.session.transport.inFlight).toBe(0);
    });
  });

  test("answers a repeat that waits for a write", async () => {
    await open();
    const first = kept.call("change", 1, Object.assign(new FakeSink(), { reads: false }));
    await kept.stage.end();
    await kept.ended(first);
    kept.store.answers = undefined;
    void kept.call("count", 2);
    const write = await kept.store.next();
    const repeat = kept.call("change", 1);
    await turn();
    expect(repeat.headersSent).toBe(false);
    write.end("lost");
    await kept.session.close("owner-lost");
    expect(textOf(await kept.ended(repeat))).toMatch(/may or may not have run/);
  });

  test("answers a call whose head had left although nobody could note that it runs", async () => {
    await open();
    kept.store.answers = "unavailable";
    const sink = kept.call("change");
    await eventually(() => expect(sink.headersSent).toBe(true));
    await kept.session.close("owner-lost");
    expect(messagesOf(sink)).toMatchObject([{ result: { isError: true } }]);
    expect(sink.ended).toBe(true);
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
