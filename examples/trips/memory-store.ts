import { randomUUID } from "node:crypto";
import { Changes } from "./changes.ts";
import { full, mostTrips, type TripStore } from "./store.ts";
import type { Trip } from "./trip.ts";

/** Trips of a node that has no Redis: they live and die with the process. */
export function memoryStore(node: string): TripStore {
  const changes = new Changes();
  const trips = new Map<string, Trip>();
  return {
    changes,
    async list() {
      return [...trips.values()];
    },
    async get(id) {
      return trips.get(id);
    },
    async create(wanted) {
      if (trips.size >= mostTrips) throw full();
      const trip: Trip = { id: randomUUID(), ...wanted, status: "PLANNED", changedOn: node };
      trips.set(trip.id, trip);
      return trip;
    },
    async update(id, patch) {
      const trip = trips.get(id);
      if (trip === undefined) return undefined;
      const updated = { ...trip, ...patch, changedOn: node };
      trips.set(id, updated);
      changes.tell({ kind: "changed", id, changed: patch, node });
      return updated;
    },
  };
}
