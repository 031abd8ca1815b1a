import { describe, expect, it } from "vitest";
import { mcpServer } from "../../examples/trips/mcp.ts";
import { memoryStore } from "../../examples/trips/memory-store.ts";
import yardstick from "../../examples/yardstick/server.ts";
import yardstick2 from "../../examples/yardstick-2/server.ts";
import { eventually } from "../support/eventually.ts";
import { Lives } from "./lives.ts";

describe("a session of the yardstick whose node dies, again and again", () => {
  it("announces each number once, several announcements at once", async () => {
    const session = new Lives((context) => yardstick.create({ session: context }));
    await session.begin();
    const count = 40;
    for (let announcement = 0; announcement < 3; announcement += 1) {
      await session.call("announce", { count, everyMs: 3 });
    }
    while (session.logged.length < 3 * count) {
      const before = session.logged.length;
      await eventually(() => expect(session.logged.length).toBeGreaterThan(Math.min(before + 20, 3 * count - 1)));
      session.die();
      await session.begin();
    }
    const numbers = session.logged.map((data) => (data as { n: number }).n);
    expect([...numbers].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 3 * count }, (_, n) => Math.floor(n / 3) + 1),
    );
    // They are over: nothing of them goes on in another life, and their places are free.
    for (let announcement = 0; announcement < 16; announcement += 1) {
      await session.call("announce", { count: 1, everyMs: 0 });
    }
    await eventually(() => expect(session.logged).toHaveLength(3 * count + 16));
    expect(session.failures).toEqual([]);
    session.die();
  });

  it("counts on", async () => {
    const session = new Lives((context) => yardstick.create({ session: context }));
    for (let life = 1; life <= 3; life += 1) {
      await session.begin();
      expect(await session.call("where")).toMatchObject({ node: `node-${life}`, epoch: life });
      expect(await session.call("count")).toEqual({ value: 2 * life - 1, node: `node-${life}` });
      expect(await session.call("count")).toEqual({ value: 2 * life, node: `node-${life}` });
      session.die();
    }
  });

  it("counts on in the next version, which has another shape of it", async () => {
    let version = yardstick;
    const session = new Lives((context) => version.create({ session: context }));
    await session.begin();
    await session.call("count");
    version = yardstick2;
    for (const node of [null, "node-2"]) {
      session.die();
      await session.begin();
      expect(await session.call("tally")).toEqual({ value: node === null ? 1 : 2, node });
      await session.call("count");
    }
    session.die();
  });

  it("hears the clock again, which it had subscribed to", async () => {
    const session = new Lives((context) => yardstick.create({ session: context }));
    await session.begin();
    await session.shape("resources/subscribe", { uri: "yardstick://clock" });
    session.die();
    await session.begin();
    expect(session.updated).toBe(0);
    await eventually(() => expect(session.updated).toBe(1));
    session.die();
  });
});

describe("a session of the trips example whose node dies, again and again", () => {
  const store = memoryStore("node");
  const newTrip = () => store.create({ from: "Lisbon", to: "Oslo", departure: "2026-05-01T07:30:00.000Z" });

  it("has a worker that goes on where it was", async () => {
    const { id } = await newTrip();
    const session = new Lives((context) => mcpServer(context, store));
    await session.begin();
    await session.call("start_worker", { tripId: id, steps: 30, everyMs: 10 });
    while (session.logged.length < 30) {
      const before = session.logged.length;
      await eventually(() => expect(session.logged.length).toBeGreaterThan(Math.min(before + 7, 29)));
      session.die();
      await session.begin();
    }
    expect(session.logged.map((data) => (data as { step: number }).step)).toEqual(
      Array.from({ length: 30 }, (_, n) => n + 1),
    );
    expect(await session.call("worker_status")).toMatchObject({ worker: { state: "done", step: 30 } });
    await session.call("start_worker", { tripId: id, steps: 10_000, everyMs: 10 });
    session.die();
    await session.begin();
    expect(await session.call("cancel_worker")).toMatchObject({ worker: { state: "cancelled" } });
    session.die();
    await session.begin();
    const told = session.logged.length;
    await session.call("start_worker", { tripId: id, steps: 1, everyMs: 10 });
    await eventually(() => expect(session.logged).toHaveLength(told + 1));
    expect(session.failures).toEqual([]);
    session.die();
  });

  it("watches on, and is told that it may have missed something", async () => {
    const [one, two] = [await newTrip(), await newTrip()];
    const session = new Lives((context) => mcpServer(context, store));
    await session.begin();
    await session.call("watch_trip", { id: one.id });
    await session.call("watch_trip", { id: two.id });
    await session.call("unwatch_trip", { id: two.id });
    session.die();
    await store.update(one.id, { status: "BOOKED" });
    await session.begin();
    await eventually(() => expect(session.logged).toEqual([{ kind: "missed", id: one.id }]));
    await store.update(two.id, { status: "DELAYED" });
    await store.update(one.id, { status: "DELAYED" });
    await eventually(() => expect(session.logged).toHaveLength(2));
    expect(session.logged[1]).toEqual({ kind: "changed", id: one.id, changed: { status: "DELAYED" }, node: "node" });
    session.die();
  });
});
