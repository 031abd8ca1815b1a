import { errorCode, errorText, type RequestId } from "./json-rpc.ts";

/** What is said of a call that was not run, or of which nobody knows whether it was. */
export const outcome = {
  running:
    "This call is a repeat of one that is still running. It was not run a second time: wait for the answer to the first.",
  mayHaveRun:
    "This call may or may not have run: its first answer was lost on the way. It was not run a second time. Check what it did before you call again.",
  nodeDied:
    "This call may or may not have run: the node that ran it is gone. It was not run again. Check what it did before you call again.",
  nodeLost:
    "This call may or may not have run: the session moved to another node meanwhile. Check what it did before you call again.",
  notKept:
    "The call may have run, but what it changed could not be kept: the registry is away. Check what it did before you call again.",
  notBegun: "This call was not run: that it begins could not be noted, because the registry is away. Call again later.",
} as const;

/**
 * A response that says why there is no other. For a tool it is a result: clients show it to the model, and v1 clients
 * don't take an error for the end of a resumed call.
 */
export function outcomeText(request: { readonly id: RequestId; readonly method: string }, text: string): string {
  if (request.method !== "tools/call") return errorText(request.id, errorCode.session, text);
  return JSON.stringify({
    jsonrpc: "2.0",
    id: request.id,
    result: { content: [{ type: "text", text }], isError: true },
  });
}
