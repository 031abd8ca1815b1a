import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  defaultRetention,
  type EventRing,
  type RetainedEvent,
  RetainedEvents,
  type Retention,
} from "../../src/session/retained-events.ts";
import { collectGarbage } from "../support/collect-garbage.ts";
import { eventually } from "../support/eventually.ts";

const bytesOf = (events: readonly RetainedEvent[]): number =>
  events.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);

/** A stream's side: numbers its events as a session does, and knows all that it ever sent. */
class Sender {
  readonly sent: RetainedEvent[] = [];
  readonly ring: EventRing;

  constructor(ring: EventRing) {
    this.ring = ring;
  }

  send(stream: string, json: string, at = 0): void {
    const event = { stream, sequence: this.of(stream).length + 1, json, at };
    this.sent.push(event);
    this.ring.add(event);
  }

  of(stream: string): RetainedEvent[] {
    return this.sent.filter((event) => event.stream === stream);
  }

  /** What the ring still keeps of a stream: the longest rest that it gives. */
  kept(stream: string): RetainedEvent[] {
    const all = this.of(stream);
    for (let after = 0; after <= all.length; after += 1) {
      const events = this.ring.after(stream, after, all.length);
      if (events !== undefined) return events;
    }
    throw new Error("Nothing was asked for, and not even that was given");
  }
}

function retention(bounds: Partial<Retention>): Retention {
  return { ...defaultRetention, ...bounds };
}

describe("what is kept of a session is bounded", () => {
  test("by count", () => {
    const sender = new Sender(new RetainedEvents(retention({ count: 3 })).ring());
    for (let n = 1; n <= 5; n += 1) sender.send("s", `${n}`);
    expect(sender.kept("s").map(({ json }) => json)).toEqual(["3", "4", "5"]);
  });

  test("by bytes as they go over the wire, not by characters", () => {
    const sender = new Sender(new RetainedEvents(retention({ bytes: 100 })).ring());
    for (let n = 1; n <= 5; n += 1) sender.send("s", "語".repeat(10));
    expect(sender.kept("s")).toHaveLength(3);
  });

  test("by bytes, except that one larger event is kept alone", () => {
    const sender = new Sender(new RetainedEvents(retention({ bytes: 10 })).ring());
    sender.send("s", "12345");
    sender.send("s", "x".repeat(50));
    expect(sender.kept("s").map(({ json }) => json.length)).toEqual([50]);
    sender.send("s", "12345");
    expect(sender.kept("s").map(({ json }) => json.length)).toEqual([5]);
  });

  test("by age", () => {
    const all = new RetainedEvents(retention({ age: 1_000 }));
    const sender = new Sender(all.ring());
    sender.send("s", "old", 0);
    sender.send("s", "young", 600);
    all.sweep(1_000);
    expect(sender.kept("s")).toHaveLength(2);
    all.sweep(1_001);
    expect(sender.kept("s").map(({ json }) => json)).toEqual(["young"]);
    all.sweep(2_000);
    expect(sender.kept("s")).toEqual([]);
    expect(all.bytes).toBe(0);
  });

  test("by age also in a busy session, while another that was silent for longer has nothing too old", () => {
    const all = new RetainedEvents(retention({ age: 1_000 }));
    const busy = new Sender(all.ring());
    const quiet = new Sender(all.ring());
    busy.send("s", "too old", 0);
    quiet.send("s", "young", 900);
    busy.send("s", "young", 950);
    all.sweep(1_500);
    expect(busy.kept("s").map(({ json }) => json)).toEqual(["young"]);
    expect(quiet.kept("s")).toHaveLength(1);
  });
});

describe("what is kept of all sessions together is bounded", () => {
  test("the session that was silent for longest gives up first", () => {
    const all = new RetainedEvents(retention({ totalBytes: 30 }));
    const [first, second] = [new Sender(all.ring()), new Sender(all.ring())];
    first.send("s", "1234567890");
    second.send("s", "1234567890");
    first.send("s", "1234567890");
    second.send("s", "1234567890");
    expect([first.kept("s").length, second.kept("s").length]).toEqual([1, 2]);
    expect(all.bytes).toBe(30);
  });

  test("a closed session gives back what it held", () => {
    const all = new RetainedEvents();
    const sender = new Sender(all.ring());
    sender.send("s", "1234567890");
    sender.ring.clear();
    expect(all.bytes).toBe(0);
  });
});

test("what was dropped is really given up: no reference to it is left", async () => {
  const all = new RetainedEvents(retention({ bytes: 1_000 }));
  const ring = all.ring();
  const dropped: WeakRef<RetainedEvent>[] = [];
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    const event = { stream: "s", sequence, json: "x".repeat(900), at: 0 };
    if (sequence < 20) dropped.push(new WeakRef(event));
    ring.add(event);
  }
  await eventually(() => {
    collectGarbage();
    expect(dropped.filter((reference) => reference.deref() !== undefined)).toHaveLength(0);
  });
  expect(ring.after("s", 19, 20)).toHaveLength(1);
});

interface Step {
  readonly session: number;
  readonly stream: string;
  readonly json: string;
  readonly passed: number;
  readonly sweep: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  session: fc.integer({ min: 0, max: 3 }),
  stream: fc.constantFrom("s", "c1", "c2"),
  json: fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" }),
  passed: fc.integer({ min: 0, max: 40 }),
  sweep: fc.boolean(),
});

test("whatever is sent: never more than the bounds, and never silently less than was asked for", () => {
  const bounds = { count: 7, bytes: 60, age: 100, totalBytes: 150 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const all = new RetainedEvents(bounds);
      const senders = [0, 1, 2, 3].map(() => new Sender(all.ring()));
      let now = 0;
      for (const { session, stream, json, passed, sweep } of steps) {
        now += passed;
        senders[session]?.send(stream, json, now);
        if (sweep) all.sweep(now);
        const kept = senders.map((sender) => ["s", "c1", "c2"].flatMap((name) => sender.kept(name)));
        for (const events of kept) {
          expect(events.length).toBeLessThanOrEqual(bounds.count);
          if (events.length > 1) expect(bytesOf(events)).toBeLessThanOrEqual(bounds.bytes);
          if (sweep) expect(events.every(({ at }) => now - at <= bounds.age)).toBe(true);
        }
        const total = kept.reduce((sum, events) => sum + bytesOf(events), 0);
        expect(total).toBeLessThanOrEqual(bounds.totalBytes);
        // Events that stand behind one that is gone may still be held, though nobody can ask for them.
        expect(all.bytes).toBeLessThanOrEqual(bounds.totalBytes);
        expect(all.bytes).toBeGreaterThanOrEqual(total);
      }
      for (const sender of senders) expectExactRests(sender);
    }),
    { numRuns: 300 },
  );
});

/** Each rest of each stream is given whole and in order, or not at all; and a shorter rest is never refused. */
function expectExactRests(sender: Sender): void {
  for (const stream of ["s", "c1", "c2"]) {
    const all = sender.of(stream);
    let given = false;
    for (let after = 0; after <= all.length; after += 1) {
      const rest = sender.ring.after(stream, after, all.length);
      if (rest === undefined) expect(given).toBe(false);
      else {
        given = true;
        expect(rest).toEqual(all.slice(after));
      }
    }
    expect(given).toBe(true);
  }
}
