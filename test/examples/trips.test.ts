import { afterAll, beforeAll, describe, expect, it } from "vitest";
import trips from "../../examples/trips/server.ts";
import { eventually } from "../support/eventually.ts";
import { type Serving, serve } from "../support/serving.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { connectClient } from "./client.ts";

interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

async function graphql(serving: Serving, query: string, variables: Record<string, unknown> = {}): Promise<Answer> {
  const response = await fetch(`${serving.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(10_000),
  });
  return (await response.json()) as Answer;
}

async function createTrip(serving: Serving, from = "Lisbon"): Promise<string> {
  const query = `mutation ($from: String!) {
    createTrip(from: $from, to: "Oslo", departure: "2026-05-01T09:30:00+02:00") { id status departure }
  }`;
  const { data, errors } = await graphql(serving, query, { from });
  expect(errors).toBeUndefined();
  const trip = data?.createTrip as { id: string };
  expect(trip).toMatchObject({ status: "PLANNED", departure: "2026-05-01T07:30:00.000Z" });
  return trip.id;
}

const delay = `mutation ($id: ID!) { updateTrip(id: $id, status: DELAYED) { status changedOn } }`;

describe("on one node without Redis", () => {
  let serving: Serving;
  beforeAll(async () => {
    serving = await serve(trips, { name: "alone" });
  });
  afterAll(() => serving.stop());

  it("a session that watches a trip is told of changes by GraphQL until it no longer watches", async () => {
    const id = await createTrip(serving);
    const session = await connectClient(serving.mcp);
    expect(await session.call("watch_trip", { id })).toEqual({ watching: [id] });
    expect((await graphql(serving, delay, { id })).data?.updateTrip).toEqual({ status: "DELAYED", changedOn: "alone" });
    await eventually(() => {
      expect(session.logged).toEqual([{ kind: "changed", id, changed: { status: "DELAYED" }, node: "alone" }]);
      expect(session.updated).toEqual([`trips://${id}`]);
    });
    const { contents } = await session.client.readResource({ uri: `trips://${id}` });
    expect(contents[0]).toMatchObject({ mimeType: "application/json" });
    expect(await session.call("list_trips")).toMatchObject({ trips: [{ id, status: "DELAYED" }] });

    expect(await session.call("unwatch_trip", { id })).toEqual({ watching: [] });
    await graphql(serving, delay, { id });
    // A later message on the same stream shows that nothing came before it.
    await session.call("start_worker", { tripId: id, steps: 1, everyMs: 10 });
    await eventually(() => expect(session.logged).toHaveLength(2));
    expect(session.logged[1]).toMatchObject({ kind: "worker" });
    await session.close();
  });

  it("subscribing to a trip's resource is the same as watching it", async () => {
    const id = await createTrip(serving);
    const session = await connectClient(serving.mcp);
    await session.client.subscribeResource({ uri: `trips://${id}` });
    await graphql(serving, delay, { id });
    await eventually(() => expect(session.updated).toEqual([`trips://${id}`]));
    await expect(session.client.subscribeResource({ uri: "trips://nowhere" })).rejects.toThrow(/not found/i);
    await session.close();
  });

  it("a session starts a worker, follows it and sees it done", async () => {
    const id = await createTrip(serving);
    const session = await connectClient(serving.mcp);
    expect(await session.call("worker_status")).toEqual({ worker: null });
    await session.call("start_worker", { tripId: id, steps: 3, everyMs: 20 });
    await eventually(() => expect(session.logged).toHaveLength(3));
    expect(session.logged).toMatchObject([1, 2, 3].map((step) => ({ kind: "worker", step, steps: 3 })));
    expect(await session.call("worker_status")).toMatchObject({
      worker: { state: "done", step: 3, bestFare: expect.any(Number) },
    });
    await session.close();
  });

  it("a worker that is cancelled stops, and its session can start another", async () => {
    const id = await createTrip(serving);
    const session = await connectClient(serving.mcp);
    await session.call("start_worker", { tripId: id, steps: 10_000, everyMs: 10 });
    await eventually(() => expect(session.logged.length).toBeGreaterThan(2));
    expect(await session.callFailing("start_worker", { tripId: id })).toContain("cancel it first");
    expect(await session.call("cancel_worker")).toMatchObject({ worker: { state: "cancelled" } });
    await eventually(() => expect(session.logged.at(-1)).toMatchObject({ state: "cancelled" }));
    const steps = session.logged.length;
    await session.call("start_worker", { tripId: id, steps: 1, everyMs: 50 });
    await eventually(() => expect(session.logged.at(-1)).toMatchObject({ state: "done" }));
    expect(session.logged).toHaveLength(steps + 1);
    await session.close();
  });

  it("each session has its own worker and its own trips to watch", async () => {
    const id = await createTrip(serving);
    const [one, two] = await Promise.all([connectClient(serving.mcp), connectClient(serving.mcp)]);
    await one.call("watch_trip", { id });
    await one.call("start_worker", { tripId: id, steps: 1, everyMs: 10 });
    await eventually(() => expect(one.logged).toHaveLength(1));
    expect(await two.call("worker_status")).toEqual({ worker: null });
    expect(two.logged).toEqual([]);
    await Promise.all([one.close(), two.close()]);
  });

  it("says what is wrong with what it is given", async () => {
    const session = await connectClient(serving.mcp);
    expect(await session.callFailing("watch_trip", { id: "nowhere" })).toContain("list_trips shows");
    await session.close();
    const bad = await graphql(serving, `mutation { createTrip(from: "", to: "Oslo", departure: "soon") { id } }`);
    expect(bad.errors?.[0]?.message).toContain("departure: give a date and time");
    expect(bad.errors?.[0]?.extensions?.code).toBe("BAD_USER_INPUT");
    expect((await graphql(serving, delay, { id: "nowhere" })).data?.updateTrip).toBeNull();
    expect((await graphql(serving, "{ whoami { node pid } }")).data?.whoami).toEqual({
      node: "alone",
      pid: process.pid,
    });
  });

  it("a GraphQL subscription streams the trip's new states", async () => {
    const id = await createTrip(serving);
    const response = await fetch(`${serving.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ query: `subscription { tripChanged(id: "${id}") { status } }` }),
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const changing = setInterval(() => void graphql(serving, delay, { id }).catch(() => {}), 50);
    let text = "";
    while (!text.includes("DELAYED")) {
      const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
      if (done) break;
      text += value;
    }
    clearInterval(changing);
    await reader?.cancel();
    expect(text).toContain('"tripChanged":{"status":"DELAYED"}');
  });
});

describe("on two nodes with Redis", () => {
  let valkey: Valkey;
  let one: Serving;
  let two: Serving;
  beforeAll(async () => {
    valkey = await startValkey();
    [one, two] = await Promise.all([
      serve(trips, { name: "node-1", redis: valkey.url }),
      serve(trips, { name: "node-2", redis: valkey.url }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([one.stop(), two.stop()]);
    await valkey.stop();
  });

  it("a session on one node is told of a change that was made on the other", async () => {
    const id = await createTrip(one);
    const session = await connectClient(one.mcp);
    await session.call("watch_trip", { id });
    expect((await graphql(two, delay, { id })).data?.updateTrip).toEqual({ status: "DELAYED", changedOn: "node-2" });
    await eventually(() => {
      expect(session.logged).toEqual([{ kind: "changed", id, changed: { status: "DELAYED" }, node: "node-2" }]);
    });
    expect((await graphql(two, "{ trips { id } }")).data?.trips).toContainEqual({ id });
    await session.close();
  });

  it("while Redis hangs it says so in time, and afterwards goes on", async () => {
    const id = await createTrip(one);
    valkey.freeze();
    try {
      const began = performance.now();
      const answer = await graphql(one, "{ trips { id } }");
      expect(performance.now() - began).toBeLessThan(5_000);
      expect(answer.errors?.[0]?.extensions?.code).toBe("UNAVAILABLE");
      expect((await graphql(one, "{ whoami { node } }")).data?.whoami).toEqual({ node: "node-1" });
    } finally {
      valkey.thaw();
    }
    await eventually(async () => expect((await graphql(one, delay, { id })).data?.updateTrip).toBeTruthy());
  });

  it("when Redis was gone and is back, a session learns that it may have missed something", async () => {
    const id = await createTrip(one);
    const session = await connectClient(one.mcp);
    await session.call("watch_trip", { id });
    await valkey.kill();
    await eventually(async () => {
      expect((await graphql(one, "{ trips { id } }")).errors?.[0]?.extensions?.code).toBe("UNAVAILABLE");
    });
    expect(await session.callFailing("list_trips")).toContain("does not answer");
    const port = valkey.port;
    await valkey.stop();
    valkey = await startValkey({ port });
    await eventually(() => expect(session.logged).toContainEqual({ kind: "missed", id }));
    await createTrip(two);
    await session.close();
  });
});
