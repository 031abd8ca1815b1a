import { answer } from "../session/response-sink.ts";
import type { Exchange } from "./exchange.ts";

/** The header that marks what a node answers to another node, rather than to the client behind it. */
export const answerHeader = "mooring-answer";

/** Answers that the session is not here (421, Misdirected Request); the node that asked goes on with that. */
export function answerNotHere({ sink }: Exchange): void {
  answer(sink, 421, [answerHeader, "not-here"], "");
}
