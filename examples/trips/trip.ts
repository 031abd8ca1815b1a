import { z } from "zod";

// What a trip is, and what anybody may say about one: GraphQL and MCP both check by these schemas.

const tripStatuses = ["PLANNED", "BOOKED", "DELAYED", "DEPARTED", "ARRIVED", "CANCELLED"] as const;

const place = z.string().trim().min(1).max(100);
const departure = z
  .string()
  .max(40)
  .refine((written) => !Number.isNaN(Date.parse(written)), "give a date and time such as 2026-05-01T09:30:00Z")
  .transform((written) => new Date(written).toISOString());

export const newTrip = z.object({ from: place, to: place, departure });
export type NewTrip = z.output<typeof newTrip>;

export const tripPatch = z
  .object({ from: place, to: place, departure, status: z.enum(tripStatuses) })
  .partial()
  .refine((patch) => Object.values(patch).some((value) => value !== undefined), "name at least one thing to change");
export type TripPatch = z.output<typeof tripPatch>;

export const trip = z.object({
  id: z.string(),
  from: z.string(),
  to: z.string(),
  departure: z.string(),
  status: z.enum(tripStatuses),
  /** The node on which it was changed last, so that a newcomer can see the cluster at work. */
  changedOn: z.string(),
});
export type Trip = z.output<typeof trip>;
