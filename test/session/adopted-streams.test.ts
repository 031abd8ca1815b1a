import { afterEach, describe, expect, test, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { FakeSink } from "./fake-sink.ts";
import { idsOf, KeptSession, lastIdOf, messagesOf, type Sdk, textOf } from "./kept-session.ts";

const open: KeptSession[] = [];

afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function begin(sdk: Sdk = "v2"): Promise<KeptSession> {
  const kept = await KeptSession.open(sdk);
  open.push(kept);
  return kept;
}

async function adopt(former: KeptSession, sdk: Sdk = "v2"): Promise<KeptSession> {
  const { stored } = former.store;
  await former.crash();
  const kept = await KeptSession.restore(sdk, stored, former.stage);
  open.push(kept);
  return kept;
}

/** A call that has got its head, and is known to the ledger. */
async function started(kept: KeptSession, name: string, id: number | string): Promise<FakeSink> {
  const sink = kept.call(name, id);
  await eventually(() => {
    expect(sink.headersSent).toBe(true);
    expect(kept.store.stored.ledger.map(({ request }) => request)).toContain(JSON.stringify(id));
    expect(kept.stage.waiting.length).toBeGreaterThan(0);
  });
  return sink;
}

const ledger = (kept: KeptSession) => kept.store.stored.ledger;

describe.each(["v1", "v2"] as const)("a call that was in flight when its node died (%s)", (sdk) => {
  test("is run again for the client that asks for its stream, if it only reads", async () => {
    const former = await begin(sdk);
    const lost = await started(former, "look", "its id");
    const kept = await adopt(former, sdk);
    const resumed = kept.listen(lastIdOf(lost));
    expect(idsOf(resumed)).toEqual([lastIdOf(lost)]);
    former.stage.waiting.shift();
    await kept.stage.end();
    await kept.ended(resumed);
    expect(messagesOf(resumed)).toMatchObject([{ id: "its id" }]);
    expect(textOf(resumed)).toBe("look is done");
    expect(kept.stage.runs).toEqual(["look", "look"]);
    await eventually(() => expect(ledger(kept)).toEqual([]));
    expect(kept.listen(lastIdOf(resumed))).toMatchObject({ status: 204 });
  });

  test("is not run again if it may not be, and its client is told so, as often as it asks", async () => {
    const former = await begin(sdk);
    const lost = await started(former, "change", 7);
    const kept = await adopt(former, sdk);
    for (let n = 0; n < 2; n += 1) {
      const resumed = kept.listen(lastIdOf(lost));
      expect(resumed).toMatchObject({ status: 200, ended: true });
      expect(messagesOf(resumed)).toMatchObject([{ id: 7, result: { isError: true } }]);
      expect(textOf(resumed)).toMatch(/may or may not have run/);
    }
    expect(kept.stage.runs).toEqual(["change"]);
    await eventually(() => expect(ledger(kept)).toEqual([]));
  });
});

describe("the stream of a call that was in flight when its node died", () => {
  test("keeps nobody waiting who asks for its stream in the moment in which the session is lost again", async () => {
    const former = await begin();
    const sink = await started(former, "change", 1);
    const kept = await adopt(former);
    kept.store.answers = undefined;
    kept.call("count", 2);
    const { end } = await kept.store.next();
    const asked = kept.listen(lastIdOf(sink));
    expect(asked.headersSent).toBe(false);
    end("lost");
    await kept.session.close("owner-lost");
    expect(asked).toMatchObject({ ended: true, status: 404 });
    expect(asked.text).toContain("misrouted");
  });

  test("goes on above all that its client has seen", async () => {
    const former = await begin();
    const lost = await started(former, "change", 1);
    for (const n of [1, 2, 3]) await former.stage.progress?.(n);
    const kept = await adopt(former);
    // Not logged: the call had lived for less than a second.
    expect(kept.store.stored.events).toEqual([]);
    const resumed = kept.listen(lastIdOf(lost));
    expect(idsOf(resumed).map((id) => id.split("-")[1])).toEqual(["4"]);
    expect(messagesOf(resumed)).toMatchObject([{ id: 1, result: { isError: true } }]);
  });

  test("is logged once it has lived for a second, with what was sent before and after", async () => {
    const former = await begin();
    const lost = await started(former, "change", 1);
    await former.stage.progress?.(1);
    await eventually(() => expect(former.store.stored.events).toHaveLength(1), 3_000);
    await former.stage.progress?.(2);
    await eventually(() => expect(messagesOf(lost)).toHaveLength(2));
    expect(former.store.stored.events).toHaveLength(2);
    const kept = await adopt(former);
    const resumed = kept.listen(idsOf(lost)[0]);
    expect(messagesOf(resumed)).toMatchObject([
      { params: { progress: 1 } },
      { params: { progress: 2 } },
      { id: 1, result: { isError: true } },
    ]);
  });

  test("has its response for who asks, if that was logged before the node died", async () => {
    const former = await begin();
    const lost = await started(former, "change", 1);
    await former.stage.progress?.(1);
    await eventually(() => expect(former.store.stored.events).toHaveLength(1), 3_000);
    const primed = idsOf(lost)[0] as string;
    lost.destroy();
    await former.stage.end();
    await eventually(() => expect(former.store.stored.events).toHaveLength(2));
    const kept = await adopt(former);
    const rest = kept.listen(primed);
    expect(rest).toMatchObject({ status: 200, ended: true });
    expect(messagesOf(rest)).toMatchObject([{ params: { progress: 1 } }, { id: 1, result: {} }]);
    expect(textOf(rest)).toBe("change is done");
    expect(kept.listen(lastIdOf(rest))).toMatchObject({ status: 204 });
    expect(kept.stage.runs).toEqual(["change"]);
  });

  test("that nobody knows is gone", async () => {
    const kept = await adopt(await begin());
    expect(kept.listen("c9-0")).toMatchObject({ status: 400 });
    expect(kept.listen("c9_2-0")).toMatchObject({ status: 400 });
  });

  test("is carried on also by the third owner", async () => {
    const first = await begin();
    const lost = await started(first, "look", 1);
    const second = await adopt(first);
    const again = second.listen(lastIdOf(lost));
    first.stage.waiting.shift();
    await eventually(() => expect(first.stage.runs).toHaveLength(2));
    await second.stage.progress?.(1);
    await eventually(() => expect(messagesOf(again)).toHaveLength(1));
    const third = await adopt(second);
    const last = third.listen(lastIdOf(again));
    first.stage.waiting.shift();
    await third.stage.end();
    expect(textOf(await third.ended(last))).toBe("look is done");
    expect(third.stage.runs).toHaveLength(3);
  });
});

describe("new calls at the new owner", () => {
  test("have streams with names that were never given out before", async () => {
    const former = await begin();
    const lost = await started(former, "look", 1);
    const kept = await adopt(former);
    const call = kept.call("look", 2);
    await eventually(() => expect(call.headersSent).toBe(true));
    expect(idsOf(call)).toEqual(["c1_2-0"]);
    expect(lastIdOf(lost)).not.toBe(lastIdOf(call));
    former.stage.waiting.shift();
    await kept.stage.end();
    await kept.ended(call);
  });
});

describe("a POST that is repeated at the new owner", () => {
  test("runs if it may be run again", async () => {
    const former = await begin();
    await started(former, "look", 1);
    const kept = await adopt(former);
    former.stage.waiting.shift();
    const repeat = kept.call("look", 1);
    await kept.stage.end();
    expect(textOf(await kept.ended(repeat))).toBe("look is done");
    await eventually(() => expect(ledger(kept)).toEqual([]));
  });

  test("is else told once that it may have run, and then its id is free", async () => {
    const former = await begin();
    await started(former, "change", 1);
    const kept = await adopt(former);
    former.stage.waiting.shift();
    const repeat = await kept.ended(kept.call("change", 1));
    expect(messagesOf(repeat)).toMatchObject([{ id: 1, result: { isError: true } }]);
    await eventually(() => expect(ledger(kept)).toEqual([]));
    const next = kept.call("change", 1);
    await kept.stage.end();
    expect(textOf(await kept.ended(next))).toBe("change is done");
    expect(kept.stage.runs).toEqual(["change", "change"]);
  });

  test("is another call if its body is another", async () => {
    const former = await begin();
    await started(former, "change", 1);
    const kept = await adopt(former);
    expect(await kept.callText("count", 1)).toBe("1");
  });
});

test("a call that was in flight when its node died, and that nobody asks for, is forgotten after five minutes", async () => {
  const former = await begin();
  await started(former, "change", 1);
  const { stored } = former.store;
  await former.crash();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  try {
    const kept = await KeptSession.restore("v2", stored, former.stage);
    open.push(kept);
    vi.advanceTimersByTime(5 * 60_000 - 100);
    expect(ledger(kept)).toHaveLength(1);
    vi.advanceTimersByTime(1_000);
    while (ledger(kept).length > 0) await new Promise((resolve) => setImmediate(resolve));
  } finally {
    vi.useRealTimers();
  }
});
