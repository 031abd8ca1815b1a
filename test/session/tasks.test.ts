import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { TaskContext, TaskRun } from "../../src/session/session-context.ts";
import { SessionState } from "../../src/session/state.ts";
import { TaskStopped } from "../../src/session/task-stopped.ts";
import { SessionTasks } from "../../src/session/tasks.ts";
import { eventually } from "../support/eventually.ts";

/** The tasks of a session on one node, with what is kept of its state. */
function onNode(stored: Record<string, string> = {}, endMs = 1_000) {
  const state = new SessionState({ stored, onTouched: () => {} });
  const failures: string[] = [];
  const tasks = new SessionTasks({ state, failed: (name, error) => failures.push(`${name}: ${error.message}`), endMs });
  return {
    state,
    tasks,
    failures,
    /** What is kept when its node is gone. */
    kept: () => ({ ...stored, ...state.changes() }),
  };
}

/** A run that lasts until its signal aborts, and what it was given each time. */
function lasting() {
  const runs: TaskContext[] = [];
  const run: TaskRun = async (context) => {
    runs.push(context);
    if (!context.signal.aborted) await once(context.signal, "abort");
  };
  return { runs, run };
}

const turn = () => sleep(0);

function reasonOf({ signal }: TaskContext): string {
  return signal.reason instanceof TaskStopped ? signal.reason.reason : String(signal.reason);
}

describe("a task runs", () => {
  it("when the session has begun, and again after each move", async () => {
    const one = onNode();
    const first = lasting();
    const handle = one.tasks.declare("watch", first.run);
    await turn();
    expect(first.runs).toHaveLength(0);
    expect(handle.running).toBe(true);
    one.tasks.begin(false);
    await turn();
    expect(first.runs).toMatchObject([{ restored: false }]);
    await one.tasks.end("moved");
    expect(handle.running).toBe(false);
    expect(first.runs.map(reasonOf)).toEqual(["moved"]);

    const two = onNode(one.kept());
    const second = lasting();
    two.tasks.declare("watch", second.run);
    two.tasks.begin(true);
    await turn();
    expect(second.runs).toMatchObject([{ restored: true }]);
    await two.tasks.end("closed");
  });

  it("when it is started, if it isn't auto, and goes on after a move of a node that died", async () => {
    const one = onNode();
    const first = lasting();
    const handle = one.tasks.declare("work", first.run, { auto: false });
    one.tasks.begin(false);
    await turn();
    expect(first.runs).toHaveLength(0);
    handle.start();
    handle.start();
    expect(handle.running).toBe(true);
    await turn();
    expect(first.runs).toMatchObject([{ restored: false }]);

    // That it runs is kept with whatever else the call changed.
    const two = onNode(one.kept());
    const second = lasting();
    const restored = two.tasks.declare("work", second.run, { auto: false });
    expect(restored.running).toBe(true);
    two.tasks.begin(true);
    await turn();
    expect(second.runs).toMatchObject([{ restored: true }]);
    restored.stop();
    restored.start();
    await eventually(() => expect(second.runs).toHaveLength(2));
    expect(second.runs[1]).toMatchObject({ restored: false });
    await Promise.all([one.tasks.end("owner-lost"), two.tasks.end("closed")]);
  });

  it("also when it is declared late", async () => {
    const one = onNode();
    one.tasks.declare("work", lasting().run, { auto: false }).start();
    one.tasks.begin(false);
    const two = onNode(one.kept());
    two.tasks.begin(true);
    const late = lasting();
    two.tasks.declare("work", late.run, { auto: false });
    const other = lasting();
    two.tasks.declare("other", other.run, { auto: false });
    await turn();
    expect(late.runs).toMatchObject([{ restored: true }]);
    expect(other.runs).toHaveLength(0);
    await Promise.all([one.tasks.end("owner-lost"), two.tasks.end("closed")]);
  });

  it("as a beginning, if the server's code starts it wherever it is made", async () => {
    const { tasks } = onNode({ "mooring.tasks": '{"d":"[]"}' });
    const { runs, run } = lasting();
    tasks.declare("work", run, { auto: false }).start();
    tasks.begin(true);
    await turn();
    expect(runs).toMatchObject([{ restored: false }]);
    await tasks.end("closed");
  });

  it("where the session goes on, if it is started while that leaves", async () => {
    const one = onNode();
    const slow: TaskRun = async ({ signal }) => {
      await once(signal, "abort");
      await sleep(20);
    };
    one.tasks.declare("slow", slow);
    const first = lasting();
    const handle = one.tasks.declare("work", first.run, { auto: false });
    one.tasks.begin(false);
    await turn();
    const ended = one.tasks.end("moved");
    // By a call that is in flight still, and is answered before the session has left.
    handle.start();
    await ended;
    expect(first.runs).toHaveLength(0);
    expect(handle.running).toBe(false);
    expect(one.tasks.hasStarted).toBe(true);

    const two = onNode(one.kept());
    const second = lasting();
    two.tasks.declare("work", second.run, { auto: false });
    two.tasks.begin(true);
    await turn();
    expect(second.runs).toMatchObject([{ restored: true }]);
    await two.tasks.end("closed");

    // It stays after all.
    one.tasks.goOn();
    await turn();
    expect(first.runs).toHaveLength(1);
    expect(handle.running).toBe(true);
    await one.tasks.end("closed");
  });

  it("once at a time: started again, it waits until the run that was stopped has ended", async () => {
    const { tasks, failures } = onNode();
    let running = 0;
    let most = 0;
    let starts = 0;
    const handle = tasks.declare("work", async ({ signal }) => {
      starts += 1;
      running += 1;
      most = Math.max(most, running);
      await once(signal, "abort");
      await sleep(20);
      running -= 1;
    });
    tasks.begin(false);
    await turn();
    for (let again = 0; again < 3; again += 1) {
      handle.stop();
      expect(handle.running).toBe(false);
      handle.start();
    }
    // Those that were stopped before they could begin never did.
    await eventually(() => expect(starts).toBe(2));
    expect(most).toBe(1);
    await tasks.end("closed");
    expect(running).toBe(0);
    expect(failures).toEqual([]);
  });

  it("and never within the call that declares or starts it", () => {
    const { tasks } = onNode();
    tasks.begin(false);
    let ran = false;
    tasks.declare("work", () => {
      ran = true;
    });
    expect(ran).toBe(false);
  });
});

describe("a task that has ended is not started again after a move", () => {
  it.each([
    ["by itself", (): void => {}],
    ["by an error", (): void => JSON.parse("{")],
  ])("%s", async (_how, end) => {
    const { tasks, kept } = onNode();
    const run = async () => {
      await sleep(10);
      end();
    };
    const handle = tasks.declare("work", run, { auto: false });
    tasks.begin(false);
    handle.start();
    expect(kept()["mooring.tasks"]).toBe('{"d":"[\\"work\\"]"}');
    await eventually(() => expect(handle.running).toBe(false));
    expect(kept()["mooring.tasks"]).toBe('{"d":"[]"}');
  });

  it("because it was stopped", async () => {
    const { tasks, kept } = onNode();
    const { runs, run } = lasting();
    const work = tasks.declare("work", run, { auto: false });
    const other = tasks.declare("other", lasting().run, { auto: false });
    tasks.begin(false);
    work.start();
    other.start();
    await turn();
    work.stop();
    expect(runs.map(reasonOf)).toEqual(["stopped"]);
    await tasks.end("node-stopping");
    expect(kept()["mooring.tasks"]).toBe('{"d":"[\\"other\\"]"}');
  });
});

describe("what a task does wrong", () => {
  it("is reported, and is nothing to the others", async () => {
    const { tasks, failures } = onNode();
    tasks.declare("one", () => {
      throw new Error("at once");
    });
    tasks.declare("two", async () => {
      await turn();
      throw "later";
    });
    const { runs, run } = lasting();
    tasks.declare("three", run);
    tasks.begin(false);
    await eventually(() => expect(failures).toEqual(["one: at once", "two: later"]));
    expect(runs).toHaveLength(1);
    await tasks.end("closed");
  });

  it("is no failure once its signal has aborted", async () => {
    const { tasks, failures } = onNode();
    tasks.declare("sleeper", ({ signal }) => sleep(60_000, undefined, { signal }));
    tasks.declare("thrower", async ({ signal }) => {
      await once(signal, "abort");
      signal.throwIfAborted();
    });
    tasks.begin(false);
    await turn();
    await tasks.end("expired");
    expect(failures).toEqual([]);
  });

  it("not to end keeps nobody waiting for longer than the bound", async () => {
    const { tasks, failures } = onNode({}, 50);
    const handle = tasks.declare("deaf", () => new Promise<void>(() => {}));
    tasks.begin(false);
    await turn();
    handle.stop();
    handle.start();
    await eventually(() => expect(failures).toHaveLength(1));
    expect(failures[0]).toContain("has not ended within 50 ms");
    await tasks.end("closed");
    expect(failures).toHaveLength(3);
  });

  it("a second one of the same name", () => {
    const { tasks } = onNode();
    tasks.declare("work", () => {});
    expect(() => tasks.declare("work", () => {})).toThrow("a name of its own");
  });

  it("to start after its session has ended does nothing", async () => {
    const { tasks, kept } = onNode();
    const { runs, run } = lasting();
    const handle = tasks.declare("work", run, { auto: false });
    await tasks.end("closed");
    tasks.begin(false);
    handle.start();
    await turn();
    expect(runs).toHaveLength(0);
    expect(handle.running).toBe(false);
    expect(kept()).toEqual({});
  });
});

it("while a task runs, a change by a reference that it holds is found however late it comes", async () => {
  let now = 0;
  const state = new SessionState({ onTouched: () => {}, now: () => now });
  const tasks = new SessionTasks({ state, failed: () => {} });
  const log = state.cell<number[]>("log", []);
  let step: () => void = () => {};
  tasks.declare("work", async () => {
    const held = log.value;
    for (let n = 1; n <= 3; n += 1) {
      await new Promise<void>((resolve) => {
        step = resolve;
      });
      held.push(n);
    }
  });
  tasks.begin(false);
  await turn();
  for (const expected of ["[1]", "[1,2]", "[1,2,3]"]) {
    expect(state.changes()).toBeUndefined();
    state.noCallRuns();
    now += 3_600_000;
    step();
    await turn();
    const changes = state.changes() ?? {};
    expect(changes).toEqual({ log: `{"d":${expected}}` });
    state.kept(changes);
  }
});
