import { expect, test } from "vitest";
import type { LoadResult } from "../../bench/load/plan.ts";
import { runLoad } from "../../bench/load/run.ts";
import { type Answer, chunk, echo, eventStreamHead, rawTarget, whole } from "./raw-target.ts";

async function load(answers: readonly Answer[]): Promise<LoadResult> {
  const target = await rawTarget(answers);
  try {
    return await runLoad(
      {
        url: target.url,
        sessions: 1,
        connections: 1,
        warmupMs: 0,
        calls: answers.length,
        limitMs: 20_000,
        same: false,
        processes: {},
      },
      () => {},
    );
  } finally {
    await target.stop();
  }
}

const right: Answer = (socket, id, text) => socket.write(whole(echo(id, text)));

test("the load counts answers that are right, in each form that they come in", async () => {
  const result = await load([
    right,
    // Cut into pieces that arrive one by one.
    (socket, id, text) => {
      const answer = whole(echo(id, text));
      socket.write(answer.slice(0, 30), () =>
        setImmediate(() =>
          socket.write(answer.slice(30, -5), () => setImmediate(() => socket.write(answer.slice(-5)))),
        ),
      );
    },
    (socket, id, text) =>
      socket.write(`${eventStreamHead}${chunk(`event: message\ndata: ${echo(id, text)}\n\n`)}${chunk("")}`),
    // A priming event before the answer.
    (socket, id, text) =>
      socket.write(
        `${eventStreamHead}${chunk("id: 1\ndata: \n\n")}${chunk(`data: ${echo(id, text)}\n\n`)}${chunk("")}`,
      ),
  ]);
  expect(result.samples).toEqual([]);
  expect(result.calls).toBe(4);
});

test("the load counts answers that are cut off", async () => {
  const result = await load([
    (socket, id, text) => socket.end(whole(echo(id, text)).slice(0, -1)),
    right,
    (socket, id, text) => socket.end(`${eventStreamHead}${chunk(`data: ${echo(id, text)}\n\n`)}`),
    // The framing is whole, what it carries is not.
    (socket, id, text) =>
      socket.write(`${eventStreamHead}${chunk(`data: ${echo(id, text).slice(0, -9)}\n\n`)}${chunk("")}`),
    (socket, id, text) => socket.write(`${eventStreamHead}${chunk(`data: ${echo(id, text)}\n`)}${chunk("")}`),
    (socket, id, text) => socket.write(whole(echo(id, text).slice(0, -9))),
    (socket) => socket.write(`${eventStreamHead}${chunk("")}`),
    right,
  ]);
  expect(result.failures).toEqual({ cut: 6, unanswered: 0, late: 0, refused: 0, wrong: 0 });
  expect(result.calls).toBe(2);
});

test("the load tells other failures apart", async () => {
  const result = await load([
    (socket) => socket.end(),
    (socket) => socket.write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\n\r\nBad Gateway"),
    (socket, id, text) => socket.write(whole(echo(id + 1, text))),
    (socket, id) => socket.write(whole(echo(id, "of another call"))),
    right,
  ]);
  expect(result.failures).toEqual({ cut: 0, unanswered: 1, late: 0, refused: 1, wrong: 2 });
  expect(result.calls).toBe(1);
});
