import { isResponse, type JsonRpcMessage } from "./json-rpc.ts";
import type { PastCall } from "./ledger.ts";
import type { RetainedEvent } from "./retained-events.ts";

/** What a client gets that asks for the rest of a call stream whose node is gone. */
export type Resumption =
  /** What it asks for is not kept any more, or never was. */
  | { readonly kind: "gone" }
  /** All responses are there: the rest, and nothing after it. */
  | { readonly kind: "rest"; readonly events: readonly RetainedEvent[] }
  /** Some calls were in flight: the rest, as far as it was logged, and what becomes of those calls. */
  | {
      readonly kind: "in-flight";
      readonly events: readonly RetainedEvent[];
      /** The number of the newest event that the client can have seen, or gets now. */
      readonly sequence: number;
      readonly calls: readonly PastCall[];
    };

/**
 * @param logged what the log has of the stream, in order
 * @param orphans calls of the stream that the ledger has
 * @param after the number of the last event that the client has seen
 */
export function resumption(logged: readonly RetainedEvent[], orphans: readonly PastCall[], after: number): Resumption {
  const answered = new Set<unknown>();
  for (const { json } of logged) {
    const message = JSON.parse(json) as JsonRpcMessage;
    if (isResponse(message)) answered.add(message.id);
  }
  const calls = orphans.filter(({ id }) => !answered.has(id));
  const newest = logged.at(-1)?.sequence ?? 0;
  const rest = logged.filter(({ sequence }) => sequence > after);
  const isWhole = rest.length === Math.max(0, newest - after);
  if (calls.length > 0) {
    // Of what is missing nobody can tell: the response says that.
    return { kind: "in-flight", events: isWhole ? rest : [], sequence: Math.max(after, newest), calls };
  }
  return answered.size > 0 && isWhole && after <= newest ? { kind: "rest", events: rest } : { kind: "gone" };
}
