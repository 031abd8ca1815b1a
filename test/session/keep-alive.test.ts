import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { KeepAlive } from "../../src/session/keep-alive.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const tickMs = 100;

/** Streams that count their signs of life. */
function open(keepAlive: KeepAlive, count: number): { served: number; keepAlive(): void }[] {
  return Array.from({ length: count }, () => {
    const stream = {
      served: 0,
      keepAlive() {
        stream.served += 1;
      },
    };
    keepAlive.add(stream);
    return stream;
  });
}

describe("keep-alives", () => {
  test("reach each of many streams within one round, and once in it", () => {
    const keepAlive = new KeepAlive(1_000);
    const streams = open(keepAlive, 1_000);
    vi.advanceTimersByTime(1_000);
    expect(new Set(streams.map(({ served }) => served))).toEqual(new Set([1]));
    vi.advanceTimersByTime(3_000);
    expect(new Set(streams.map(({ served }) => served))).toEqual(new Set([4]));
    keepAlive.stop();
  });

  test("serve only a slice at a time, also of streams that were all opened in one moment", () => {
    const keepAlive = new KeepAlive(1_000);
    const streams = open(keepAlive, 1_000);
    let before = 0;
    for (let tick = 0; tick < 30; tick += 1) {
      vi.advanceTimersByTime(tickMs);
      const served = streams.reduce((sum, stream) => sum + stream.served, 0);
      expect(served - before).toBe(100);
      before = served;
    }
    keepAlive.stop();
  });

  test("reach streams that were opened at any time, within one round", () => {
    const keepAlive = new KeepAlive(1_000);
    const streams: { served: number }[] = [];
    for (let tick = 0; tick < 25; tick += 1) {
      streams.push(...open(keepAlive, 7));
      vi.advanceTimersByTime(tickMs);
    }
    for (const stream of streams) stream.served = 0;
    vi.advanceTimersByTime(1_000);
    expect(new Set(streams.map(({ served }) => served))).toEqual(new Set([1]));
    keepAlive.stop();
  });

  test("no longer reach a stream that was closed", () => {
    const keepAlive = new KeepAlive(1_000);
    const streams = open(keepAlive, 10);
    for (const stream of streams.slice(0, 5)) keepAlive.remove(stream);
    expect(keepAlive.size).toBe(5);
    vi.advanceTimersByTime(2_000);
    expect(streams.map(({ served }) => served)).toEqual([0, 0, 0, 0, 0, 2, 2, 2, 2, 2]);
    keepAlive.stop();
  });

  test("keep no timer when no stream is open, and begin again with the next one", () => {
    const keepAlive = new KeepAlive(1_000);
    const [stream] = open(keepAlive, 1);
    expect(vi.getTimerCount()).toBe(1);
    if (stream !== undefined) keepAlive.remove(stream);
    expect(vi.getTimerCount()).toBe(0);
    const [next] = open(keepAlive, 1);
    vi.advanceTimersByTime(1_000);
    expect(next?.served).toBe(1);
    keepAlive.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
