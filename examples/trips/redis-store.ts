import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { AppContext } from "mooring";
import { createClient } from "redis";
import { z } from "zod";
import { Changes } from "./changes.ts";
import { full, mostTrips, type TripStore, TripsError } from "./store.ts";
import { type Trip, trip, tripPatch } from "./trip.ts";

// Keys: `trips:trip:<id>` is a hash with the trip's fields, `trips:ids` the set of all ids. Each change is published
// on `trips:changes`, which every node hears, the one that made it too.
const idsKey = "trips:ids";
const tripKey = (id: string) => `trips:trip:${id}`;
const channel = "trips:changes";
const published = z.object({ id: z.string(), changed: tripPatch, node: z.string() });

/** No request waits longer for Redis than this. */
const answerMs = 2_000;

/** Trips of a cluster: all nodes see the same ones, and hear of each other's changes. */
export async function redisStore(url: string, { node, log, signal }: AppContext): Promise<TripStore> {
  if (!/^rediss?:\/\//.test(url)) {
    throw new Error(
      "The trips example keeps its data on a single Redis server: give --redis a redis:// or rediss:// URL.",
    );
  }
  const changes = new Changes();
  const client = createClient({
    url,
    // While Redis is away a request fails at once and says so, instead of waiting for its return.
    disableOfflineQueue: true,
    pingInterval: 1_000,
    socket: {
      connectTimeout: answerMs,
      socketTimeout: 2 * answerMs,
      reconnectStrategy: (tries) => Math.min(tries * 100, answerMs),
    },
  });
  const subscriber = client.duplicate({ disableOfflineQueue: false });

  for (const connection of [client, subscriber]) {
    let up = true;
    // Without a listener an "error" event would end the process. Said once for each outage, not for each attempt.
    connection.on("error", (error: Error) => {
      if (up) log.warn("app-failed", { app: "trips", why: `Redis is away: ${error.message}`, next: "trying again" });
      up = false;
    });
    connection.on("ready", () => {
      // What was published while this node couldn't listen is lost to it, so those who watch must look for themselves.
      if (!up && connection === subscriber) changes.tellAllThatSomethingWasMissed();
      up = true;
    });
  }

  function hear(message: string): void {
    try {
      changes.tell({ kind: "changed", ...published.parse(JSON.parse(message)) });
    } catch (error) {
      log.warn("app-failed", { app: "trips", why: `what came on ${channel} is no change of a trip: ${String(error)}` });
    }
  }

  /** Runs one command, or one MULTI, with a deadline; what goes wrong becomes an error that can be shown. */
  async function ask<T>(run: () => Promise<T>): Promise<T> {
    const abort = new AbortController();
    const late = sleep(answerMs, undefined, { signal: abort.signal }).then(() => {
      throw new Error(`no answer in ${answerMs} ms`);
    });
    late.catch(() => {});
    const running = run();
    running.catch(() => {});
    try {
      return await Promise.race([running, late]);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new TripsError(
        "UNAVAILABLE",
        `The trips' Redis does not answer (${why}). Try again in a moment, and look first whether a change was made.`,
      );
    } finally {
      abort.abort();
    }
  }

  async function read(id: string): Promise<Trip | undefined> {
    const fields = await ask(() => client.hGetAll(tripKey(id)));
    return Object.keys(fields).length === 0 ? undefined : trip.parse(fields);
  }

  signal.addEventListener("abort", () => {
    for (const connection of [client, subscriber]) connection.destroy();
  });
  const connected = Promise.all([client.connect(), subscriber.connect(), subscriber.subscribe(channel, hear)]);
  connected.catch(() => {});
  // The node starts without Redis too, and serves trips as soon as it is there.
  await Promise.race([connected, sleep(answerMs)]);

  return {
    changes,
    async list() {
      const ids = await ask(() => client.sMembers(idsKey));
      const trips = await Promise.all(ids.slice(0, mostTrips).map(read));
      return trips.filter((found) => found !== undefined).sort((a, b) => a.departure.localeCompare(b.departure));
    },
    get: read,
    async create(wanted) {
      if ((await ask(() => client.sCard(idsKey))) >= mostTrips) throw full();
      const created: Trip = { id: randomUUID(), ...wanted, status: "PLANNED", changedOn: node.name };
      await ask(() => client.multi().hSet(tripKey(created.id), created).sAdd(idsKey, created.id).exec());
      return created;
    },
    async update(id, patch) {
      // A trip is never removed, so that one that exists now still exists in the MULTI.
      if ((await ask(() => client.exists(tripKey(id)))) === 0) return undefined;
      const news = JSON.stringify({ id, changed: patch, node: node.name });
      const [, fields] = await ask(() =>
        client
          .multi()
          .hSet(tripKey(id), { ...patch, changedOn: node.name })
          .hGetAll(tripKey(id))
          .publish(channel, news)
          .execTyped(),
      );
      return trip.parse(fields);
    },
  };
}
