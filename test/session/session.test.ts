import { defineServer, type McpServerLike } from "mooring";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HoldBack } from "../../src/session/hold-back.ts";
import { KeepAlive } from "../../src/session/keep-alive.ts";
import { RetainedEvents } from "../../src/session/retained-events.ts";
import { Session, type SessionHost, type SessionStart } from "../../src/session/session.ts";
import type { SessionContext } from "../../src/session/session-context.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount(), "timers left").toBe(0);
  vi.useRealTimers();
});

const start: SessionStart = { id: "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA", epoch: 1, client: "x/1" };

function hostOf(create: (session: SessionContext) => McpServerLike | Promise<McpServerLike>): SessionHost {
  return {
    node: { name: "node-1", tag: "k3f9q2" },
    definition: defineServer(({ session }) => create(session)),
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
}

const open = (server: McpServerLike) =>
  Session.open(
    hostOf(() => server),
    start,
  );

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

describe("a session whose server is not made in time", () => {
  const never = new Promise<never>(() => {});

  /** A session that waits for its server, and what it comes to. */
  function begin(make: () => McpServerLike | Promise<McpServerLike>, more: Partial<SessionHost & SessionStart> = {}) {
    let signal: AbortSignal | undefined;
    const create = (session: SessionContext) => {
      signal = session.signal;
      return make();
    };
    const opening = Session.open({ ...hostOf(create), createMs: 1_000, ...more }, { ...start, ...more });
    const failed = opening.then(
      () => undefined,
      (error: Error) => error.message,
    );
    return { failed, isAborted: () => signal?.aborted };
  }

  test("fails with an error that says what to do, and its signal aborts", async () => {
    const { failed, isAborted } = begin(() => never);
    await vi.advanceTimersByTimeAsync(999);
    expect(isAborted()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await failed).toMatch(
      /not made and connected within 1000 ms.*Give what the function of defineServer awaits/,
    );
    expect(isAborted()).toBe(true);
  });

  test("is given 20 s, unless its node says otherwise", async () => {
    const { failed, isAborted } = begin(() => never, { createMs: undefined as never });
    await vi.advanceTimersByTimeAsync(19_999);
    expect(isAborted()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await failed).toContain("20000 ms");
  });

  test("closes the server that comes late, and never connects it", async () => {
    const said: string[] = [];
    const server: McpServerLike = {
      connect: async () => void said.push("connected"),
      close: async () => void said.push("closed"),
    };
    const { failed } = begin(() => new Promise((resolve) => setTimeout(() => resolve(server), 3_000)));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await failed).toContain("within 1000 ms");
    expect(said).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(said).toEqual(["closed"]);
  });

  test("closes the server that does not end to connect", async () => {
    let closed = 0;
    const { failed } = begin(() => ({
      connect: () => never,
      close: async () => {
        closed += 1;
      },
    }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await failed).toContain("within 1000 ms");
    expect(closed).toBe(1);
  });

  test.each([
    ["what it fails with late", () => Promise.reject(new Error("no such host"))],
    ["what its late end fails with", async () => ({ connect: async () => {}, close: () => Promise.reject("gone") })],
  ])("reports %s, which may be the cause", async (_name, late) => {
    const errors: string[] = [];
    const make = async () => {
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      return await late();
    };
    const { failed } = begin(make, { serverFailed: (_session, { message }) => errors.push(message) });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await failed).toContain("within 1000 ms");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/no such host|gone/);
  });

  test("is not waited for when its node stops", async () => {
    const stop = new AbortController();
    const { failed, isAborted } = begin(() => never, { signal: stop.signal });
    stop.abort();
    expect(await failed).toMatch(/node stops/);
    expect(isAborted()).toBe(true);
  });
});
