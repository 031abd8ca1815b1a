import { createGraphQLError, createSchema, createYoga, Repeater, SlidingBuffer } from "graphql-yoga";
import type { AppContext, AppHandler } from "mooring";
import type { z } from "zod";
import { type TripStore, TripsError } from "./store.ts";
import { newTrip, type Trip, tripPatch } from "./trip.ts";

const typeDefs = /* GraphQL */ `
  enum TripStatus { PLANNED BOOKED DELAYED DEPARTED ARRIVED CANCELLED }

  type Trip {
    id: ID!
    from: String!
    to: String!
    "Date and time, ISO 8601, UTC"
    departure: String!
    status: TripStatus!
    "The node on which it was changed last"
    changedOn: String!
  }

  "Who answered: run it a few times through the load balancer"
  type Whoami { node: String!, pid: Int! }

  type Query {
    trips: [Trip!]!
    trip(id: ID!): Trip
    whoami: Whoami!
  }

  type Mutation {
    createTrip(from: String!, to: String!, departure: String!): Trip!
    "Gives null when there is no such trip"
    updateTrip(id: ID!, from: String, to: String, departure: String, status: TripStatus): Trip
  }

  type Subscription {
    "The trip as it is after each change, whoever made it and wherever"
    tripChanged(id: ID!): Trip!
  }
`;

/** Checks what a person sent; says what is wrong with it in words. */
function check<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const checked = schema.safeParse(input);
  if (checked.success) return checked.data;
  const faults = checked.error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw createGraphQLError(faults.join("; "), { extensions: { code: "BAD_USER_INPUT" } });
}

/** GraphQL Yoga shows only errors of its own kind to the caller and hides all others: these are meant to be seen. */
async function shown<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TripsError) throw createGraphQLError(error.message, { extensions: { code: error.code } });
    throw error;
  }
}

/** A stream of the trip's new states. Only the latest few are kept for a reader who lags behind. */
function statesOf(id: string, store: TripStore, signal: AbortSignal): AsyncIterable<Trip> {
  return new Repeater<Trip>(async (push, stop) => {
    const end = () => stop();
    const unwatch = store.changes.watch(id, () => {
      store.get(id).then((trip) => trip && push(trip), end);
    });
    signal.addEventListener("abort", end);
    await stop;
    signal.removeEventListener("abort", end);
    unwatch();
  }, new SlidingBuffer(16));
}

/** The app of a node: GraphQL at `/graphql`. */
export function graphqlApp(store: TripStore, { node, log, signal }: AppContext): AppHandler {
  const yoga = createYoga({
    graphqlEndpoint: "/graphql",
    landingPage: false,
    cors: false,
    maxRequestBodySize: 100_000,
    logging: {
      debug() {},
      info() {},
      warn: (...words: unknown[]) => log.warn("app-failed", { app: "trips", why: words.map(String).join(" ") }),
      error: (...words: unknown[]) => log.error("app-failed", { app: "trips", why: words.map(String).join(" ") }),
    },
    schema: createSchema({
      typeDefs,
      resolvers: {
        Query: {
          trips: () => shown(store.list()),
          trip: (_, { id }: { id: string }) => shown(store.get(id)),
          whoami: () => ({ node: node.name, pid: process.pid }),
        },
        Mutation: {
          createTrip: (_, input: unknown) => shown(store.create(check(newTrip, input))),
          updateTrip: (_, { id, ...patch }: { id: string }) => shown(store.update(id, check(tripPatch, patch))),
        },
        Subscription: {
          tripChanged: {
            subscribe: (_, { id }: { id: string }) => statesOf(id, store, signal),
            resolve: (trip: Trip) => trip,
          },
        },
      },
    }),
  });
  return (request, response) => {
    Promise.resolve(yoga(request, response)).catch((error: unknown) => {
      log.error("app-failed", { app: "trips", why: String(error) });
      response.destroy();
    });
  };
}
