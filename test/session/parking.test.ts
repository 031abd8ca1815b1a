import { afterEach, describe, expect, test } from "vitest";
import { defineServer, TaskStopped } from "../../src/index.ts";
import { Session } from "../../src/session/session.ts";
import type { SessionContext, TaskContext } from "../../src/session/session-context.ts";
import { eventually } from "../support/eventually.ts";
import { FakeSink } from "./fake-sink.ts";
import { FakeStore } from "./fake-store.ts";
import { initialize, KeptSession, lastIdOf, messagesOf, textOf } from "./kept-session.ts";

const open: KeptSession[] = [];

afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function begin(): Promise<KeptSession> {
  const kept = await KeptSession.open("v2");
  open.push(kept);
  return kept;
}

/** Parks a session, as its node does, and restores it as its next request does. */
async function park(kept: KeptSession): Promise<KeptSession> {
  expect(await kept.session.prepareToLeave("parked")).toBe("written");
  expect(kept.session.isReadyToLeave).toBe(true);
  await kept.session.leave("parked");
  const back = await KeptSession.restore("v2", kept.store.stored, kept.stage);
  open.push(back);
  return back;
}

const numbers = (sink: FakeSink) =>
  messagesOf(sink).flatMap(({ params }) => (params?.data as { n?: number } | undefined)?.n ?? []);

describe("a session that was parked", () => {
  test("has all that it had: state, and what its client had said", async () => {
    const kept = await begin();
    await kept.callText("count");
    await kept.ended(kept.request("resources/subscribe", { uri: "a:1" }));
    const back = await park(kept);
    expect(await back.callText("count", 50)).toBe("2");
    expect(back.stage.heard).toContain("subscribe a:1");
    expect(back.session).toMatchObject({ epoch: 2, createdAt: 0 });
  });

  test("has what nobody had seen to be written yet", async () => {
    const kept = await begin();
    await kept.callText("count");
    const { state } = kept.stage.contexts[0] as SessionContext;
    const late = state<string>("late", "");
    late.value = "changed outside calls, a moment before";
    await park(kept);
    expect(kept.store.stored.state.late).toContain("a moment before");
  });

  test("sends nothing a second time, and nothing is missing, on the stream that its client opens again", async () => {
    const kept = await begin();
    const [announce] = kept.stage.announce;
    await announce?.(1);
    const stream = kept.listen();
    await announce?.(2);
    await eventually(() => expect(numbers(stream)).toEqual([1, 2]));
    stream.destroy();
    await announce?.(3);
    const back = await park(kept);
    expect(numbers(back.listen())).toEqual([3]);
    expect(numbers(back.listen("s-1"))).toEqual([2, 3]);
  });

  test("gives the rest of a call's stream that nobody had logged", async () => {
    const kept = await begin();
    const sink = kept.call("look");
    await eventually(() => expect(kept.stage.waiting).toHaveLength(1));
    await kept.stage.progress?.(1);
    await eventually(() => expect(messagesOf(sink)).toHaveLength(1));
    const seen = lastIdOf(sink);
    await kept.stage.end();
    await kept.ended(sink);
    expect(kept.store.stored.events).toEqual([]);
    const back = await park(kept);
    for (const _again of [1, 2]) expect(textOf(await back.ended(back.listen(seen)))).toBe("look is done");
  });

  test("is known to the registry with its full time again, also if nothing had changed", async () => {
    const kept = await begin();
    const before = kept.store.begun.length;
    await park(kept);
    expect(kept.store.begun).toHaveLength(before + 1);
  });
});

describe("a session whose call was answered and not read", () => {
  test("says so, because only this copy knows not to run a repeat of it", async () => {
    const kept = await begin();
    const { transport } = kept.session;
    const sink = new FakeSink();
    sink.destroyed = true;
    kept.call("count", 7, sink);
    await eventually(() => expect(transport.inFlight).toBe(0));
    expect(transport.hasUnread).toBe(true);
    // Its repeat is answered, and from then on there is nothing to know.
    expect(textOf(await kept.ended(kept.call("count", 7)))).toContain("may or may not have run");
    await eventually(() => expect(transport.hasUnread).toBe(false));
  });
});

/** A session with tasks, whose store the test leads. */
async function withTasks(declare: (context: SessionContext) => void) {
  const kept = await begin();
  const store = FakeStore.new(JSON.stringify(initialize));
  let context: SessionContext | undefined;
  const host = {
    ...kept.host,
    definition: defineServer(({ session }) => {
      context = session;
      declare(session);
      return { connect: async () => {}, close: async () => {} } as never;
    }),
  };
  const { id, epoch } = store.record;
  const session = await Session.open(host, { id, epoch, client: "raw/1", initialize: "", store });
  session.transport.outbox.wake();
  return { session, store, context: context as SessionContext, errors: kept.errors };
}

function lasting() {
  const runs: TaskContext[] = [];
  const run = async (task: TaskContext) => {
    runs.push(task);
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
  };
  return { runs, run };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the tasks of a session that leaves memory", () => {
  test("end with it and say why; what they do at their end is written; then its signal aborts", async () => {
    const order: string[] = [];
    const { session, store, context } = await withTasks((its) => {
      const position = its.state("position", 0);
      its.task("work", async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        order.push((signal.reason as TaskStopped).reason);
        await turn();
        position.value = 42;
        order.push("task ended");
      });
    });
    context.signal.addEventListener("abort", () => order.push("signal"));
    await turn();
    expect(await session.prepareToLeave("parked")).toBe("written");
    expect(context.signal.aborted).toBe(false);
    await session.leave("parked");
    expect(order).toEqual(["parked", "task ended", "signal"]);
    expect(store.stored.state.position).toContain("42");
  });

  test("hold it in memory if its server started them, for as long as they run", async () => {
    const own = lasting();
    let started: { start(): void; stop(): void } | undefined;
    const { session } = await withTasks((its) => {
      its.task("auto", lasting().run);
      started = its.task("own", own.run, { auto: false });
    });
    expect(session.hasStartedTask).toBe(false);
    started?.start();
    expect(session.hasStartedTask).toBe(true);
    started?.stop();
    expect(session.hasStartedTask).toBe(false);
    await session.close();
  });

  test("go on as after a move when it can't be written and stays", async () => {
    const { runs, run } = lasting();
    const { session, store } = await withTasks((its) => void its.task("work", run));
    await turn();
    store.answers = "unavailable";
    expect(await session.prepareToLeave("parked")).toBe("unavailable");
    expect(runs[0]?.signal.aborted).toBe(true);
    session.stay();
    await eventually(() => expect(runs).toHaveLength(2));
    expect(runs[1]).toMatchObject({ restored: true });
    expect(runs[1]?.signal.aborted).toBe(false);
    store.back();
    expect(await session.prepareToLeave("parked")).toBe("written");
    await session.leave("parked");
    expect(runs[1]?.signal.reason).toBeInstanceOf(TaskStopped);
  });
});

describe("a session that changes while it is written", () => {
  test("is written until it is quiet", async () => {
    const { session, store, context } = await withTasks(() => {});
    const count = context.state("count", 0);
    store.answers = undefined;
    const settling = session.prepareToLeave("parked");
    const first = await store.next();
    count.value = 1;
    first.end("written");
    const second = await store.next();
    second.end("written");
    expect(await settling).toBe("written");
    expect(session.isReadyToLeave).toBe(true);
    expect(store.stored.state.count).toContain("1");
    count.value = 2;
    expect(session.isReadyToLeave).toBe(false);
    store.answers = "written";
    await session.close();
  });

  test("all the time is given up on", async () => {
    const { session, store, context } = await withTasks(() => {});
    const count = context.state("count", 0);
    store.beforeBoundary = () => {
      count.value += 1;
    };
    expect(await session.prepareToLeave("parked")).toBe("busy");
    await session.close();
  });
});
