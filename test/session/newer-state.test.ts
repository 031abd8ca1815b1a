import { setTimeout as sleep } from "node:timers/promises";
import { McpServer } from "@modelcontextprotocol/server";
import { afterEach, describe, expect, test } from "vitest";
import type { StoredSession } from "../../src/ports/registry.ts";
import { defineServer } from "../../src/session/define-server.ts";
import { HoldBack } from "../../src/session/hold-back.ts";
import { KeepAlive } from "../../src/session/keep-alive.ts";
import { RetainedEvents } from "../../src/session/retained-events.ts";
import { Session, type SessionHost } from "../../src/session/session.ts";
import type { SessionContext } from "../../src/session/session-context.ts";
import { UnreadableSession } from "../../src/session/unreadable-session.ts";
import { eventually } from "../support/eventually.ts";
import { FakeStore } from "./fake-store.ts";
import { initialize } from "./kept-session.ts";

const open: Session[] = [];
const retained = new RetainedEvents();
const keepAlive = new KeepAlive();
const holdBack = new HoldBack();

afterEach(async () => {
  for (const session of open.splice(0)) await session.close("closed");
  holdBack.stop();
  keepAlive.stop();
});

/** A node that runs this code. */
function running(code: (session: SessionContext) => void | Promise<void>): SessionHost {
  return {
    node: { name: "node-1", tag: "k3f9q2" },
    definition: defineServer(async ({ session }) => {
      await code(session);
      return new McpServer({ name: "skewed", version: "1" });
    }),
    ...{ retained, keepAlive, holdBack, answerAsJson: false, holdMs: 10_000 },
    now: () => Date.now(),
    overflowed() {},
    serverFailed() {},
    taskFailed() {},
  };
}

/** What is kept of a session with this state. */
function keptWith(state: Record<string, string>): StoredSession {
  const { stored } = FakeStore.new(JSON.stringify(initialize));
  return FakeStore.handedOver({ ...stored, state });
}

async function restore(host: SessionHost, stored: StoredSession): Promise<FakeStore> {
  const store = new FakeStore(stored);
  open.push(await Session.restore(host, stored, { store }));
  return store;
}

const oldCode = (session: SessionContext) => void session.state("count", 0);
const newCode = (session: SessionContext) => {
  const migrate = (value: unknown) => ({ value: Number(value), last: null });
  session.state("count", { value: 0, last: null }, { version: 1, migrate });
};

describe("a session whose state newer code has changed", () => {
  const newer = keptWith({ count: '{"v":1,"d":{"value":7,"last":"node-2"}}' });

  test("is told apart by older code, which says what to do", async () => {
    const store = new FakeStore(newer);
    const restoring = Session.restore(running(oldCode), newer, { store });
    await expect(restoring).rejects.toBeInstanceOf(UnreadableSession);
    await expect(restoring).rejects.toThrow(
      /"count" is kept with version 1, and this code has 0: let nodes of the newer/,
    );
  });

  test("is told apart also where the person's own code makes another error of it", async () => {
    const wrapping = running((session) => {
      try {
        oldCode(session);
      } catch (cause) {
        throw new Error("no counter today", { cause });
      }
    });
    const restoring = Session.restore(wrapping, newer, { store: new FakeStore(newer) });
    await expect(restoring).rejects.toBeInstanceOf(UnreadableSession);
  });

  test("is taken up where that code can do without it", async () => {
    const doing = running((session) => {
      try {
        oldCode(session);
      } catch {
        session.state("another", 0);
      }
    });
    const store = await restore(doing, newer);
    await sleep(150);
    expect(store.begun).toEqual([]);
  });

  test("is taken up by the newer code", async () => {
    await restore(running(newCode), newer);
  });
});

describe("a session that can't be restored", () => {
  const states = { a: '{"d":1}', b: '{"v":9,"d":1}' };

  test.each([
    ["its state is newer", (session: SessionContext) => void session.state("b", 0)],
    [
      "the code fails",
      () => {
        throw new Error("not today");
      },
    ],
  ])("keeps all that it had, although part of it was migrated before: %s", async (_why, fail) => {
    const stored = keptWith(states);
    const store = new FakeStore(stored);
    const slow = running(async (session) => {
      const a = session.state("a", 0, { version: 1, migrate: () => 2 });
      a.value += 1;
      // Changes outside calls are written within 100 ms.
      await sleep(200);
      fail(session);
    });
    await expect(Session.restore(slow, stored, { store })).rejects.toThrow();
    await sleep(150);
    expect(store.begun).toEqual([]);
  });

  test("and one that can has what was migrated written soon", async () => {
    const store = await restore(
      running((session) => void session.state("a", 0, { version: 1, migrate: () => 2 })),
      keptWith(states),
    );
    await eventually(() => expect(store.stored.state).toEqual({ a: '{"v":1,"d":2}', b: '{"v":9,"d":1}' }));
  });
});

test("older code leaves what it doesn't declare as it is, whatever it changes and writes anew", async () => {
  const theirs = { wishes: '{"v":3,"d":{"list":["a"]}}', later: '{"d":null}' };
  const stored = keptWith({ count: '{"d":1}', ...theirs });
  let count = { value: 0 };
  const older = running((session) => {
    count = session.state("count", 0);
  });
  const store = await restore(older, stored);
  count.value += 1;
  await eventually(() => expect(store.stored.state).toEqual({ count: '{"d":2}', ...theirs }));
  expect(store.begun).toEqual([{ state: { count: '{"d":2}' } }]);
  // As after the registry lost its entries.
  expect(open[0]?.snapshot().state).toEqual({ count: '{"d":2}', ...theirs });
  open[0]?.unkept();
  count.value += 1;
  await eventually(() => expect(store.stored.state).toEqual({ count: '{"d":3}', ...theirs }));
  expect(store.begun.at(-1)?.state).toEqual({ count: '{"d":3}', ...theirs });
  const newest = await restore(
    running((session) => {
      newCode(session);
      session.state("wishes", {}, { version: 3 });
    }),
    FakeStore.handedOver(store.stored),
  );
  await eventually(() => expect(newest.stored.state.count).toBe('{"v":1,"d":{"value":3,"last":null}}'));
  expect(newest.stored.state).toMatchObject(theirs);
});
