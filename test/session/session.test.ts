import { defineServer, type McpServerLike } from "mooring";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HoldBack } from "../../src/session/hold-back.ts";
import { KeepAlive } from "../../src/session/keep-alive.ts";
import { RetainedEvents } from "../../src/session/retained-events.ts";
import { Session } from "../../src/session/session.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount(), "timers left").toBe(0);
  vi.useRealTimers();
});

function open(server: McpServerLike): Promise<Session> {
  const host = {
    node: { name: "node-1", tag: "k3f9q2" },
    definition: defineServer(() => server),
    retained: new RetainedEvents(),
    keepAlive: new KeepAlive(),
    holdBack: new HoldBack(),
    holdMs: 10_000,
    answerAsJson: false,
    now: () => 0,
    overflowed() {},
    serverFailed() {},
    taskFailed() {},
  };
  return Session.open(host, { id: "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA", epoch: 1, client: "x/1" });
}

test("the end of a session waits for its server, but not for ever", async () => {
  const session = await open({ connect: async () => {}, close: () => new Promise(() => {}) });
  const closed = session.close();
  await vi.advanceTimersByTimeAsync(5_000);
  expect((await closed)?.message).toBe("The server did not close within 5000 ms");
});

test.each([
  [
    "throws",
    () => {
      throw new Error("at once");
    },
  ],
  ["rejects", () => Promise.reject(new Error("at once"))],
  ["rejects with something that is no error", () => Promise.reject("at once")],
])("the end of a session whose server %s gives the error, and never rejects", async (_name, close) => {
  const session = await open({ connect: async () => {}, close: close as () => Promise<void> });
  expect((await session.close())?.message).toBe("at once");
});
