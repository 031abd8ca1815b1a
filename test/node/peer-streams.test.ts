import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { Exchange } from "../../src/node/exchange.ts";
import { windowBytes } from "../../src/node/peer/flow.ts";
import { type Frame, frame, frameType, headFrame } from "../../src/node/peer/frame.ts";
import { RecordWriter } from "../../src/node/peer/records.ts";
import { headTicksFor } from "../../src/node/peer/request-stream.ts";
import { answer } from "../../src/session/response-sink.ts";
import { eventually } from "../support/eventually.ts";
import { keys, type Pair, type PairOptions, peerPair, TakenAnswer } from "./peer-pair.ts";

let pair: Pair | undefined;
afterEach(() => pair?.close());

async function open(options: PairOptions): Promise<Pair> {
  pair = await peerPair(options);
  return pair;
}

function ask(body?: string, headers: Record<string, string> = {}, taker = new TakenAnswer()): TakenAnswer {
  pair?.dialled.request({ method: body === undefined ? "GET" : "POST", headers, body }, taker);
  return taker;
}

/** Writes so much as fast as it is taken, and counts what was taken. */
function pour({ sink }: Pick<Exchange, "sink">, bytes: number, poured = { bytes: 0 }): void {
  const chunk = randomBytes(64 * 1024);
  const more = (): void => {
    while (poured.bytes < bytes) {
      poured.bytes += chunk.length;
      if (!sink.write(chunk)) return void sink.once("drain", more);
    }
    sink.end();
  };
  if (!sink.headersSent) sink.writeHead(200, []);
  more();
}

describe("a request and its answer", () => {
  test("arrive as they were sent", async () => {
    await open({
      relayed: async ({ method, headers, body, sink, relayed }) => {
        sink.setHeader("X-Relayed", String(relayed));
        answer(sink, 201, ["X-Own", "ö"], `${method} ${headers["x-own"]} ${await body(1)}`);
      },
    });
    const taken = ask("pay €", { "x-own": "ä" });
    await eventually(() => expect(taken.whole).toBe(true));
    expect(taken.text).toBe("POST ä pay €");
    expect([taken.status, taken.headers]).toEqual([201, ["X-Relayed", "true", "X-Own", "ö", "Content-Length", "15"]]);
    // Head and body in one piece.
    expect(taken.chunks).toHaveLength(1);
  });

  test("of 4 MiB of several bytes a character arrive whole, and larger ones are refused before they are read", async () => {
    const bodies: unknown[] = [];
    await open({
      relayed: async ({ body, sink }) => {
        const text = await body(1);
        bodies.push(text);
        answer(sink, 200, [], text);
      },
    });
    const text = "€".repeat(1_398_000);
    const taken = ask(text);
    await eventually(() => expect(taken.whole).toBe(true));
    expect(taken.text === text).toBe(true);
    const tooLarge = ask("x".repeat(4 * 1024 * 1024 + 1));
    await eventually(() => expect(tooLarge.status).toBe(413));
    expect(bodies).toHaveLength(1);
    const after = ask("after");
    await eventually(() => expect(after.text).toBe("after"));
  });

  test("that is a stream brings its head before its first event, and each event by itself", async () => {
    const sinks: Exchange["sink"][] = [];
    await open({ relayed: ({ sink }) => void sinks.push(sink) });
    const taken = ask();
    await eventually(() => expect(sinks).toHaveLength(1));
    const [sink] = sinks as [Exchange["sink"]];
    sink.writeHead(200, ["Content-Type", "text/event-stream"]);
    sink.flushHeaders();
    await eventually(() => expect(taken.status).toBe(200));
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      sink.write(event);
      await eventually(() => expect(taken.text.endsWith(event)).toBe(true));
    }
    expect(taken.whole).toBe(false);
    let closed = 0;
    sink.once("close", () => {
      closed += 1;
    });
    sink.end(Buffer.from("ö", "latin1").toString("latin1"), "latin1");
    await eventually(() => expect(taken.whole).toBe(true));
    expect(taken.chunks.at(-1)).toEqual(Buffer.from([0xf6]));
    expect([closed, sink.destroyed, sink.write("late")]).toEqual([1, true, false]);
  });

  test("that the owner breaks off is not taken for whole", async () => {
    await open({
      relayed: ({ sink }) => {
        sink.writeHead(200, []);
        sink.write("half");
        setImmediate(() => sink.destroy());
      },
    });
    const taken = ask();
    await eventually(() => expect(taken.loss).toBe("broken-off"));
    expect([taken.text, taken.whole]).toEqual(["half", false]);
  });

  test("that nobody waits for any more is closed at the owner, and what it still sends is dropped", async () => {
    const sinks: Exchange["sink"][] = [];
    await open({ relayed: ({ sink }) => void sinks.push(sink) });
    const left = ask();
    await eventually(() => expect(sinks).toHaveLength(1));
    left.stream?.cancel();
    sinks[0]?.writeHead(200, []);
    sinks[0]?.write("too late");
    await eventually(() => expect(sinks[0]?.destroyed).toBe(true));
    sinks[0]?.end("later still");
    const next = ask();
    await eventually(() => expect(sinks).toHaveLength(2));
    answer(sinks[1] as Exchange["sink"], 200, [], "next");
    await eventually(() => expect(next.text).toBe("next"));
    expect([left.status, left.loss]).toEqual([undefined, undefined]);
  });
});

describe("a reader that doesn't read", () => {
  test("holds its owner back within the window, and nobody else", async () => {
    const poured = { bytes: 0 };
    const whole = 10 * 1024 * 1024;
    const sinks: Exchange["sink"][] = [];
    await open({
      relayed: (exchange) => {
        if (exchange.method === "POST") return answer(exchange.sink, 200, [], "done");
        sinks.push(exchange.sink);
        pour(exchange, whole, poured);
      },
    });
    const slow = ask(undefined, {}, new TakenAnswer({ reads: false }));
    await eventually(() => expect(slow.bytes).toBe(windowBytes));
    for (let call = 0; call < 100; call += 1) {
      const quick = ask("x");
      await eventually(() => expect(quick.whole).toBe(true), 5_000, 1);
    }
    expect(slow.bytes).toBe(windowBytes);
    expect(poured.bytes).toBeLessThan(windowBytes + 3 * 64 * 1024);
    expect(sinks[0]?.writableLength).toBe(poured.bytes - windowBytes);
    // It goes on as far as it is read.
    slow.stream?.read(windowBytes);
    await eventually(() => expect(slow.bytes).toBe(2 * windowBytes));
    while (!slow.whole) {
      const before = slow.bytes;
      slow.stream?.read(windowBytes);
      await eventually(() => expect(slow.bytes > before || slow.whole).toBe(true), 5_000, 1);
    }
    expect(slow.bytes).toBe(poured.bytes);
  });

  test("of a request's body is met by the node that sends it: small calls overtake large ones", async () => {
    const order: number[] = [];
    await open({
      relayed: async ({ body, sink }) => {
        const size = String(await body(1)).length;
        order.push(size);
        answer(sink, 200, [], "");
      },
    });
    const large = Array.from({ length: 8 }, () => ask("x".repeat(4 * 1024 * 1024)));
    const small = ask("small");
    await eventually(() => expect(small.whole).toBe(true), 10_000, 1);
    expect(order).toEqual([5]);
    await eventually(() => expect(large.every(({ whole }) => whole)).toBe(true));
  });

  test("large answers take turns, and small ones wait for none of them", async () => {
    const size = 4 * 1024 * 1024;
    await open({
      relayed: (exchange) => {
        if (exchange.method === "GET") pour(exchange, size);
        else answer(exchange.sink, 200, [], "done");
      },
    });
    const large = [1, 2, 3, 4].map(() => ask());
    await eventually(() => expect(large.every(({ bytes }) => bytes > 0)).toBe(true), 5_000, 1);
    const small = ask("x");
    let least = 0;
    let most = 0;
    await eventually(
      () => {
        const got = large.map(({ bytes }) => bytes);
        [least, most] = [Math.min(...got), Math.max(...got)];
        expect(small.whole).toBe(true);
      },
      5_000,
      0,
    );
    expect(most).toBeLessThan(size);
    expect(most - least).toBeLessThanOrEqual(windowBytes);
    await eventually(() => expect(large.every(({ whole }) => whole)).toBe(true));
  });
});

describe("a connection that ends", () => {
  test("says of each request whether it may have been read", async () => {
    const sinks: Exchange["sink"][] = [];
    const { sockets } = await open({ relayed: ({ sink }) => void sinks.push(sink) });
    const read = ask("read");
    await eventually(() => expect(sinks).toHaveLength(1));
    const unsent = ask("unsent");
    sockets.near.destroy();
    await eventually(() => expect([read.loss, unsent.loss]).toEqual(["lost", "unsent"]));
    await eventually(() => expect(sinks[0]?.destroyed).toBe(true));
    expect(ask("after").loss).toBe("unsent");
  });

  test("with a goodbye lets requests behind it go elsewhere, and answers before it arrive", async () => {
    const sinks: Exchange["sink"][] = [];
    const { accepted, ends } = await open({ relayed: ({ sink }) => void sinks.push(sink) });
    const [first, second] = [ask("first"), ask("second")];
    await eventually(() => expect(sinks).toHaveLength(2));
    answer(sinks[0] as Exchange["sink"], 200, [], "done");
    accepted.goodbye();
    const behind = ask("behind");
    await eventually(() => expect(behind.loss).toBe("unsent"));
    await eventually(() => expect([first.text, second.loss]).toEqual(["done", "lost"]));
    expect(sinks).toHaveLength(2);
    expect(ends.dialled).toBe("the node is stopping");
  });

  test("because this side lets go of it, carries what it carries to its end", async () => {
    const sinks: Exchange["sink"][] = [];
    const { dialled, ends } = await open({ relayed: ({ sink }) => void sinks.push(sink) });
    const last = ask("last");
    dialled.retire();
    expect(ask("more").loss).toBe("unsent");
    await eventually(() => expect(sinks).toHaveLength(1));
    answer(sinks[0] as Exchange["sink"], 200, [], "done");
    await eventually(() => expect(last.text).toBe("done"));
    await eventually(() => expect(ends.accepted).toBe("the connection was closed"));
  });
});

describe("the other side is frozen", () => {
  test("and is given up after a while of silence, by both: their streams end", async () => {
    const sinks: Exchange["sink"][] = [];
    const { sockets, ends } = await open({ relayed: ({ sink }) => void sinks.push(sink), tickMs: 20 });
    const waiting = ask();
    await eventually(() => expect(sinks).toHaveLength(1));
    sinks[0]?.writeHead(200, []);
    sinks[0]?.flushHeaders();
    await eventually(() => expect(waiting.status).toBe(200));
    // Signs of life, 64 bytes in five ticks at most, for longer than the fifteen ticks of silence that end a connection.
    const before = sockets.near.bytesRead;
    await eventually(() => expect(sockets.near.bytesRead - before).toBeGreaterThan(5 * 64));
    expect([waiting.loss, ends]).toEqual([undefined, {}]);
    sockets.near.pause();
    sockets.far.pause();
    await eventually(() => expect(waiting.loss).toBe("lost"));
    expect(ends.dialled).toBe("it gave no sign of life");
    await eventually(() => expect(sinks[0]?.destroyed).toBe(true));
  });

  test("or only its request is: no head in time, and the caller is told, also the owner", async () => {
    const sinks: Exchange["sink"][] = [];
    const { ends } = await open({ relayed: ({ sink }) => void sinks.push(sink), tickMs: 20 });
    const waiting = ask("x");
    await eventually(() => expect(waiting.loss).toBe("lost"));
    await eventually(() => expect(sinks[0]?.destroyed).toBe(true));
    expect(ends).toEqual({});
  });

  test("or holds a request: that is waited for as long as it may be held, and for ten ticks at least", async () => {
    const sinks: Exchange["sink"][] = [];
    const headTicks = headTicksFor(30_000);
    expect([headTicks, headTicksFor(10_000), headTicksFor(500)]).toEqual([32, 12, 10]);
    await open({ relayed: ({ sink }) => void sinks.push(sink), tickMs: 20, headTicks });
    const held = ask("x");
    await sleep(20 * 20);
    expect(held.loss).toBeUndefined();
    answer(sinks[0] as Exchange["sink"], 200, [], "done");
    await eventually(() => expect(held.text).toBe("done"));
  });

  test("and a sign of life that was asked for doesn't come", async () => {
    const { dialled, sockets } = await open({});
    expect(await dialled.ping(1_000)).toBe(true);
    sockets.far.pause();
    expect(await dialled.ping(50)).toBe(false);
    sockets.far.resume();
    // The late one is none for the next question.
    expect(await dialled.ping(1_000)).toBe(true);
    sockets.far.destroy();
    expect(await dialled.ping(1_000)).toBe("lost");
  });
});

describe("a node that breaks the protocol is cut off, whoever it is", () => {
  const request = (id: number, last = true) => headFrame(frameType.request, id, '["POST",{}]', "", 0, last);
  const big = frame(frameType.data, 1, Buffer.alloc(60_000));

  test.each<[string, Frame[], string]>([
    ["a request's number twice", [request(5), request(5)], "used before"],
    ["a head that is no JSON", [headFrame(frameType.request, 1, "[", "", 0, true)], "not JSON"],
    ["a head of another form", [headFrame(frameType.request, 1, '["POST"]', "", 0, true)], "can't be understood"],
    ["an unknown frame", [frame(99 as 1, 1)], "type 99"],
    ["an answer to what it asks", [headFrame(frameType.response, 1, "[200,[]]", "", 0, true)], "type 2"],
    ["a body behind its end", [request(1), frame(frameType.data, 1, "x")], "behind its end"],
    ["a credit of another size", [request(1), frame(frameType.credit, 1, "x")], "credit"],
    ["no head at all", [frame(frameType.request, 1)], "cut off"],
  ])("%s", async (_what, frames, reason) => {
    const { sockets, ends } = await open({});
    sockets.near.write(new RecordWriter(keys().dialler.outgoing).write(frames));
    await eventually(() => expect(ends.accepted).toContain(reason));
  });

  test.each<[string, Frame[], string]>([
    ["an answer to what was not asked", [headFrame(frameType.response, 9, "[200,[]]", "", 0, true)], "not asked"],
    ["a body before its head", [frame(frameType.data, 1, "x")], "before its head"],
    ["two heads", [1, 2].map(() => headFrame(frameType.response, 1, "[200,[]]", "", 0, false)), "can't be understood"],
    ["a head of another form", [headFrame(frameType.response, 1, "{}", "", 0, false)], "can't be understood"],
    [
      "more than its window",
      [headFrame(frameType.response, 1, "[200,[]]", "", 0, false), big, big, big, big, big],
      "window",
    ],
    ["a request", [request(1)], "type 1"],
  ])("%s", async (_what, frames, reason) => {
    const { sockets, ends } = await open({});
    const waiting = ask(undefined, {}, new TakenAnswer({ reads: false }));
    sockets.far.write(new RecordWriter(keys().listener.outgoing).write(frames));
    await eventually(() => expect(ends.dialled).toContain(reason));
    expect(waiting.loss).toBe("lost");
  });

  test("also when what it sent was altered on the way", async () => {
    const { sockets, ends } = await open({});
    const record = new RecordWriter(keys().dialler.outgoing).write([request(1)]);
    record[20] = (record[20] as number) ^ 1;
    sockets.near.write(record);
    await eventually(() => expect(ends.accepted).toBe("a record was altered, forged or out of order"));
  });
});
