import type { Changes } from "./changes.ts";
import type { NewTrip, Trip, TripPatch } from "./trip.ts";

/** Where the trips are. Each method may throw a {@link TripsError}. */
export interface TripStore {
  readonly changes: Changes;
  list(): Promise<Trip[]>;
  get(id: string): Promise<Trip | undefined>;
  create(trip: NewTrip): Promise<Trip>;
  /** Gives the trip as it is afterwards, or undefined when there is none with this id. */
  update(id: string, patch: TripPatch): Promise<Trip | undefined>;
}

/** The most trips that a store takes: this is an example, and a bound beats a full memory. */
export const mostTrips = 1_000;

/** An error whose message is meant for the person who asked. */
export class TripsError extends Error {
  override readonly name = "TripsError";
  readonly code: "FULL" | "UNAVAILABLE";

  constructor(code: TripsError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export function full(): TripsError {
  return new TripsError("FULL", `There are ${mostTrips} trips already: update one of them, or start afresh.`);
}
