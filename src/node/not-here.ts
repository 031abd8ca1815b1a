import { answer } from "../session/response-sink.ts";
import type { Exchange } from "./exchange.ts";

/** The header that marks what a node answers to another node, rather than to the client behind it. */
export const answerHeader = "mooring-answer";

/** Whose session it is now, by the word of the node that had it: its tag. */
export const ownerHeader = "mooring-owner";

/**
 * Answers that the session is not here (421, Misdirected Request); the node that asked goes on with that. `movedTo`: the
 * tag of the node that it was handed over to.
 */
export function answerNotHere({ sink }: Exchange, movedTo: string | undefined): void {
  const head = movedTo === undefined ? [answerHeader, "not-here"] : [answerHeader, "moved", ownerHeader, movedTo];
  answer(sink, 421, head, "");
}
