import { refusalBody } from "../model/refusal.ts";
import { errorCode, errorText, type RequestId } from "./json-rpc.ts";
import { answerJson, type ResponseSink } from "./response-sink.ts";
import type { EventPlace } from "./sse.ts";
import type { EndReason } from "./transport-options.ts";

/** For a client that asks for events which are not kept any more, or never were. */
export function answerGone(sink: ResponseSink, { stream, sequence }: EventPlace): void {
  const fault = `What followed event ${stream}-${sequence} is not kept any more. Open a stream without Last-Event-ID.`;
  answerJson(sink, 400, errorText(null, errorCode.transport, fault));
}

/** For a request that reached a session in the moment of its end. */
export function answerEnded(sink: ResponseSink, ended: EndReason | undefined, request: RequestId | null = null): void {
  // All others go on elsewhere.
  const reason = ended === "closed" || ended === "expired" ? ended : "misrouted";
  answerJson(sink, 404, JSON.stringify(refusalBody(reason, request)));
}
