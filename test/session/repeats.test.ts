import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { SessionHost } from "../../src/session/session.ts";
import { eventually } from "../support/eventually.ts";
import { FakeSink } from "./fake-sink.ts";
import { KeptSession, messagesOf, type Sdk, textOf } from "./kept-session.ts";

let kept: KeptSession;

afterEach(async () => {
  await kept.close();
});

async function open(sdk: Sdk = "v2", more: Partial<SessionHost> = {}): Promise<void> {
  kept = await KeptSession.open(sdk, more);
}

/** A sink whose client has stopped reading. */
function unreading(): FakeSink {
  const sink = new FakeSink();
  sink.reads = false;
  return sink;
}

const ledger = () => kept.store.stored.ledger.map(({ request, repeatable }) => [request, repeatable]);

describe.each(["v1", "v2"] as const)("the ledger of a %s server", (sdk) => {
  test("has what a call is before its head leaves, and not what ends sooner", async () => {
    await open(sdk);
    await kept.callText("count");
    kept.store.answers = undefined;
    const sink = kept.call("change", "id");
    const { changes, end } = await kept.store.next();
    expect(changes.begun).toEqual([
      {
        request: '"id"',
        hash: expect.stringMatching(/^[\w-]{43}$/),
        stream: expect.stringMatching(/^c/),
        method: "tools/call",
        params: '{"name":"change","arguments":{}}',
        repeatable: false,
        at: expect.any(Number),
      },
    ]);
    expect(sink.headersSent).toBe(false);
    end("written");
    await eventually(() => expect(sink.headersSent).toBe(true));
    await kept.stage.end();
    await kept.ended(sink);
    const ended = await kept.store.next();
    expect(ended.changes).toEqual({ ended: ['"id"'] });
    ended.end("written");
    await eventually(() => expect(ledger()).toEqual([]));
  });

  test("says which calls may be run again, by the server's own annotations", async () => {
    await open(sdk);
    const sinks = [kept.call("look", 1), kept.call("change", 2), kept.call("nonsense", 3)];
    await eventually(() =>
      expect(ledger()).toEqual([
        ["1", true],
        ["2", false],
      ]),
    );
    await kept.stage.end();
    await kept.stage.end();
    for (const sink of sinks) await kept.ended(sink);
  });
});

test("that a call has ended is written soon also if it was noted during another write", async () => {
  await open();
  const sink = kept.call("change", 1, unreading());
  await eventually(() => expect(sink.headersSent).toBe(true));
  await kept.stage.end();
  await kept.ended(sink);
  kept.store.answers = undefined;
  const count = kept.call("count", 2);
  const { end } = await kept.store.next();
  sink.finish();
  // Longer than what is unwritten waits.
  await new Promise((resolve) => setTimeout(resolve, 100));
  kept.store.answers = "written";
  end("written");
  await kept.ended(count);
  await eventually(() => expect(ledger()).toEqual([]));
});

describe("a call that ends while its beginning is being written", () => {
  test("is answered whole", async () => {
    await open();
    kept.store.answers = undefined;
    const sink = kept.call("change");
    const { end } = await kept.store.next();
    await kept.stage.end();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(sink.headersSent).toBe(false);
    end("written");
    await kept.ended(sink);
    expect(sink.writes).toHaveLength(1);
    expect(sink.headers.get("content-length")).toBe(String(sink.text.length));
  });
});

describe("a repeated POST", () => {
  test("while the first runs is told so, and the first goes on", async () => {
    await open();
    const first = kept.call("change", 1);
    const repeat = await kept.ended(kept.call("change", 1));
    expect(messagesOf(repeat)).toMatchObject([{ id: 1, result: { isError: true } }]);
    expect(textOf(repeat)).toMatch(/still running/);
    await kept.stage.end();
    await kept.ended(first);
    expect(textOf(first)).toBe("change is done");
    expect(kept.stage.runs).toEqual(["change"]);
  });

  test("while the first's answer has not fully left is told that it may have run, once", async () => {
    await open();
    const first = kept.call("count", 1, unreading());
    await kept.ended(first);
    const repeat = await kept.ended(kept.call("count", 1));
    expect(textOf(repeat)).toMatch(/may or may not have run/);
    expect(await kept.callText("count", 1)).toBe("2");
  });

  test("is told again where that was lost on its way, too", async () => {
    await open();
    const first = kept.call("change", 1, unreading());
    await kept.stage.end();
    await kept.ended(first);
    const gone = new FakeSink();
    gone.destroy();
    kept.call("change", 1, gone);
    const stuck = await kept.ended(kept.call("change", 1, unreading()));
    stuck.destroy();
    expect(textOf(await kept.ended(kept.call("change", 1)))).toMatch(/may or may not have run/);
    expect(kept.stage.runs).toEqual(["change"]);
    expect(kept.session.transport.hasUnread).toBe(false);
  });

  test("after its client hung up before the answer is told that it may have run", async () => {
    await open();
    const sink = new FakeSink();
    const first = kept.call("change", 1, sink);
    sink.destroy();
    await kept.stage.end();
    await eventually(() => expect(kept.session.transport.inFlight).toBe(0));
    expect(textOf(await kept.ended(kept.call("change", 1)))).toMatch(/may or may not have run/);
    expect(kept.stage.runs).toEqual(["change"]);
    expect(first.writes).toEqual([]);
  });

  test("of something that only reads runs again after its client hung up", async () => {
    await open();
    const sink = new FakeSink();
    kept.call("look", 1, sink);
    await eventually(() => expect(sink.headersSent).toBe(true));
    sink.destroy();
    await kept.stage.end();
    await eventually(() => expect(kept.session.transport.inFlight).toBe(0));
    const again = kept.call("look", 1);
    await kept.stage.end();
    expect(textOf(await kept.ended(again))).toBe("look is done");
  });

  test("of another method is told by an error", async () => {
    await open();
    const { transport } = kept.session;
    transport.onmessage = () => {};
    kept.request("resources/unsubscribe", { uri: "a" }, 1);
    const repeat = await kept.ended(kept.request("resources/unsubscribe", { uri: "a" }, 1));
    expect(messagesOf(repeat)).toMatchObject([{ id: 1, error: { code: -32001 } }]);
  });

  test("of the same id with another body is a mistake while the first runs, and a new call afterwards", async () => {
    await open();
    const first = kept.call("change", 1);
    expect(kept.call("count", 1)).toMatchObject({ status: 400 });
    await kept.stage.end();
    await kept.ended(first);
    expect(await kept.callText("count", 1)).toBe("1");
  });

  test("from a client that always sends the same id is a new call each time", async () => {
    await open();
    for (let n = 1; n <= 20; n += 1) expect(await kept.callText("count", 1)).toBe(String(n));
  });

  test("is remembered for 256 calls", async () => {
    await open();
    for (let id = 1; id <= 300; id += 1) {
      const sink = new FakeSink();
      sink.destroyed = true;
      kept.call("count", id, sink);
    }
    await eventually(() => expect(kept.session.transport.inFlight).toBe(0));
    expect(await kept.callText("count", 1)).toBe("301");
    expect(await kept.callText("count", 300)).toMatch(/may or may not have run/);
  });

  test("is remembered for as many calls as have bodies of 8 MiB together", async () => {
    await open();
    const large = "x".repeat(3 * 1024 * 1024);
    const post = (id: number, sink: FakeSink) => {
      const params = { name: "count", arguments: { large } };
      return kept.post({ jsonrpc: "2.0", id, method: "tools/call", params }, sink);
    };
    for (const id of [1, 2, 3]) {
      const gone = new FakeSink();
      gone.destroy();
      post(id, gone);
      await eventually(() => expect(kept.session.transport.inFlight).toBe(0));
    }
    for (const id of [2, 3]) expect(textOf(await kept.ended(post(id, new FakeSink())))).toMatch(/may or may not/);
    expect(textOf(await kept.ended(post(1, new FakeSink())))).toBe("4");
  });

  test("is remembered for five minutes", async () => {
    await open();
    const sink = new FakeSink();
    const first = kept.call("change", 1, sink);
    await eventually(() => expect(first.headersSent).toBe(true));
    sink.destroy();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
    try {
      kept.stage.waiting.shift()?.();
      while (kept.session.transport.inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(5 * 60_000 - 100);
      expect(kept.store.stored.ledger).toHaveLength(1);
      vi.advanceTimersByTime(1_000);
      while (kept.store.stored.ledger.length > 0) await new Promise((resolve) => setImmediate(resolve));
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("over a real connection", () => {
  test("an answer that broke off on its way was not read, also where Node says that it has finished", async () => {
    await open();
    const { transport } = kept.session;
    let runs = 0;
    transport.onmessage = (message) => {
      runs += 1;
      const result = { content: [{ type: "text", text: "x".repeat(runs === 1 ? 16 * 1024 * 1024 : 1) }] };
      void transport.send({ jsonrpc: "2.0", id: message.id as number, result });
    };
    const message = { jsonrpc: "2.0" as const, id: 1, method: "tools/call", params: { name: "big", arguments: {} } };
    const body = JSON.stringify(message);
    const answered: ServerResponse[] = [];
    const server = createServer((request, response) => {
      answered.push(response);
      transport.accept([message], response, { method: "POST", url: "/", headers: request.headers }, body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually(() => expect(answered).toHaveLength(1));
    socket.resetAndDestroy();
    await eventually(() => expect(answered[0]?.destroyed).toBe(true));
    const ask = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
    expect(await ask()).toMatch(/may or may not have run/);
    expect(await ask()).toContain('"text":"x"');
    expect(runs).toBe(2);
    server.closeAllConnections();
    server.close();
  });
});

describe("the strict ledger", () => {
  test("notes a call before it runs, unless it may be run twice", async () => {
    await open("v2", { ledger: "strict" });
    kept.store.answers = undefined;
    const sink = kept.call("count");
    const begun = await kept.store.next();
    expect(begun.changes).toMatchObject({ begun: [{ repeatable: false }] });
    const [context] = kept.stage.contexts;
    expect(context?.state("count", 0).value).toBe(0);
    begun.end("written");
    const changed = await kept.store.next();
    expect(changed.changes).toMatchObject({ state: { count: '{"d":1}' } });
    changed.end("written");
    await kept.ended(sink);
    (await kept.store.next()).end("written");
    expect(await kept.callText("echo")).toBe("echo");
    expect(kept.store.begun).toHaveLength(3);
  });

  test("runs nothing that was cancelled before", async () => {
    await open("v2", { ledger: "strict" });
    kept.store.answers = undefined;
    kept.call("count", 1);
    const begun = await kept.store.next();
    kept.post({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } });
    begun.end("written");
    (await kept.store.next()).end("written");
    expect(kept.stage.contexts[0]?.state("count", 0).value).toBe(0);
  });
});
